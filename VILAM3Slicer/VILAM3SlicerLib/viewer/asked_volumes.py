"""The volumes that go with a question: the scan, and with an MRI its study."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import slicer

from VILAM3SlicerLib.chat.interfaces import Host, PackedScan, PackedSequence, PackedVolume
from VILAM3SlicerLib.chat.mri_study import ChosenSequence, MriStudy
from VILAM3SlicerLib.protocol.errors import InvalidRequest
from VILAM3SlicerLib.protocol.messages import StoredRange
from VILAM3SlicerLib.protocol.nrrd import NrrdVolume
from VILAM3SlicerLib.protocol.phrases import phrases
from VILAM3SlicerLib.scene.modality import guess_modality
from VILAM3SlicerLib.scene.sequence_candidates import sequence_candidates
from VILAM3SlicerLib.scene.steps import Steps
from VILAM3SlicerLib.scene.stored_range import stored_range
from VILAM3SlicerLib.scene.volumes import VolumeHashing, hash_volume, nrrd_pieces, read_volume

_ = phrases(__name__)

MRI = "MRI"


class AskedVolumes:
    """Knows the study's table and packs volumes, each once until it changes.

    ``patients`` may be filled by a front end, see ``sequence_candidates``. The scene is observed: a volume
    that comes or goes is in the table, or out of it, soon after.
    """

    def __init__(self, scene: Any, host: Host) -> None:
        self.study = MriStudy()
        self.patients: dict[str, str] = {}
        self._scene = scene
        self._host = host
        self._packed: dict[str, tuple[object, PackedVolume]] = {}
        self._modalities: dict[str, tuple[object, str]] = {}
        self._is_planned = False
        events = slicer.vtkMRMLScene
        self._observers = [
            scene.AddObserver(event, self._plan) for event in (events.NodeAddedEvent, events.NodeRemovedEvent)
        ]

    def close(self) -> None:
        """Observe the scene no more."""
        for tag in self._observers:
            self._scene.RemoveObserver(tag)
        self._observers.clear()

    def refresh(self) -> None:
        """Look for volumes that may be sequences; packed ones that are gone are forgotten."""
        self._is_planned = False
        for kept in (self._packed, self._modalities):
            for key in [key for key in list(kept) if self.node(key) is None]:
                del kept[key]  # in place: a thread may be packing another volume
        self.study.offer(sequence_candidates(self._scene, self.patients, self._modality))

    def sequences(self, node: Any, modality: str) -> list[tuple[ChosenSequence, Any]]:
        """The study that a scan belongs to, with the volume nodes; empty for a scan of another kind.

        Raises:
            InvalidRequest: they are of different patients.
        """
        if node is None or modality != MRI:
            return []
        self.refresh()
        return [(one, self.node(one.key)) for one in self.study.sequences(node.GetID())]

    def is_of_study(self, node: Any, other: Any) -> bool:
        """Whether another volume is a sequence of the study that a scan belongs to."""
        keys = [row.key for row in self.study.rows]
        return node is not None and other is not None and {node.GetID(), other.GetID()} <= set(keys)

    def pack(self, node: Any, modality: str) -> Callable[[], PackedScan]:
        """Work for a thread: hash a scan and its study, all in the frame of the scan.

        Raises:
            UnsupportedVolume: see ``volumes.read_volume``.
            InvalidRequest: the sequences are of different patients; the work raises it where two are the same
                image.
        """
        sequences = self.sequences(node, modality)
        main = self._work(node, node)
        others = [(one, self._work(each, node)) for one, each in sequences]

        def work() -> PackedScan:
            packed = tuple(PackedSequence(one.role, one.name, pack()) for one, pack in others)
            _check_all_differ(packed)
            return PackedScan(main(), packed)

        return work

    def hash_of(self, node: Any) -> str:
        """The content hash of a scan, empty where it was not packed yet."""
        known = self._packed.get(node.GetID())
        return known[1].sha256 if known else ""

    def changed_in_steps(self, node: Any) -> Steps[bool]:
        """Whether a scan is another one than when it was packed: other voxels, or at another place.

        Voxels that were touched since are hashed again, a piece at a time.

        Raises:
            UnsupportedVolume: it is no scan any more.
        """
        known = self._packed.get(node.GetID())
        volume = read_volume(node, node)
        state = _state(node, volume)
        if known is None or known[0] == state:
            return False
        hashing = VolumeHashing(volume)
        for _ in hashing:
            yield
        if hashing.content_hash != known[1].sha256:
            return True
        self._packed[node.GetID()] = state, known[1]
        return False

    def _work(self, node: Any, frame_node: Any) -> Callable[[], PackedVolume]:
        volume = read_volume(node, frame_node)
        stored = stored_range(node)
        key, state = node.GetID(), _state(node, volume)

        def work() -> PackedVolume:
            known = self._packed.get(key)
            if known is None or known[0] != state:
                self._packed[key] = known = (state, _packed(volume, stored))
            return known[1]

        return work

    def node(self, key: str) -> Any:
        """The volume node that a candidate's key names, None where it is gone."""
        return self._scene.GetNodeByID(key)

    def _modality(self, scene: Any, node: Any) -> str:
        """What a volume is, found once for its voxels and name: the voxels take a while."""
        key, state = node.GetID(), (node.GetMTime(), node.GetImageData().GetMTime())
        known = self._modalities.get(key)
        if known is None or known[0] != state:
            self._modalities[key] = known = (state, guess_modality(scene, node))
        return known[1]

    def _plan(self, *_: object) -> None:
        """Soon: a node that is being added has no voxels yet, and often several come at once."""
        if not self._is_planned:
            self._is_planned = True
            self._host.later(0.0, self.refresh)


def _check_all_differ(sequences: Sequence[PackedSequence]) -> None:
    """Refuse one image in two roles, such as a file that was opened twice."""
    seen: dict[str, PackedSequence] = {}
    for one in sequences:
        other = seen.setdefault(one.volume.sha256, one)
        if other is not one:
            raise InvalidRequest(
                _("'{first}' ({first_role}) and '{second}' ({second_role}) are the same image.").format(
                    first=other.name, first_role=other.role, second=one.name, second_role=one.role
                ),
                _("Choose another volume for one of them in the table above the question."),
                "same_image",
            )


def _state(node: Any, volume: NrrdVolume) -> object:
    """What changes when a scan may have become another one."""
    return node.GetImageData().GetMTime(), volume.ijk_to_ras, stored_range(node)


def _packed(volume: NrrdVolume, stored: StoredRange | None) -> PackedVolume:
    return PackedVolume(hash_volume(volume), tuple(nrrd_pieces(volume)), stored)
