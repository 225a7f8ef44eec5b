"""What the person can take away from the page: transcript, segmentation, the whole scene."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from VILAM3SlicerLib.chat.presenter import Presenter
from VILAM3SlicerLib.chat.transcript import compose_transcript
from VILAM3SlicerLib.protocol.errors import InvalidRequest, SceneError
from VILAM3SlicerLib.viewer.scan_scene import ScanScene

SaveScene = Callable[[Path], None]


class Downloads:
    """Makes each file when it is asked for."""

    def __init__(self, server: Any, presenter: Presenter, scene: ScanScene, save_scene: SaveScene) -> None:
        self._server = server
        self._presenter = presenter
        self._scene = scene
        self._save_scene = save_scene

    def transcript(self) -> str:
        """The conversation with all that the model was given, as JSON with the images in it."""
        presenter = self._presenter
        transcript = compose_transcript(presenter.turns, presenter.shelf.data_url)
        return json.dumps(transcript, indent=2, ensure_ascii=False)

    def segmentation(self) -> Any:
        """The segments as .seg.nrrd.

        Raises:
            SceneError: there are none.
        """
        return self._server.protocol.addAttachment(self._scene.segmentation_file())

    def scene(self) -> Any:
        """Scan, segments and conversation as a scene bundle (.mrb).

        Raises:
            InvalidRequest: an answer is still running.
            SceneError: the bundle cannot be written.
        """
        if self._presenter.running is not None:
            raise InvalidRequest("The answer is still running.", "Save the scene when it has ended.")
        try:
            with TemporaryDirectory() as folder:
                path = Path(folder) / "scene.mrb"
                self._save_scene(path)
                return self._server.protocol.addAttachment(path.read_bytes())
        except OSError as error:
            raise SceneError(f"No file could be made: {error.strerror}.", "Free some space.") from error
