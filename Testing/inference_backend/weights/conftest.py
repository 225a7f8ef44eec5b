"""A tiny published model on a hub of our own, and a weights folder to bring it to."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference_backend.weights.catalogue import Entry, Hub, Kind, Licence
from inference_backend.weights.download import Acceptance, Downloader
from inference_backend.weights.folder import WeightsFolder
from inference_backend.weights.hub_source import HubSource, Timeouts
from inference_backend.weights.patience import Patience
from inference_backend.weights.progress import Tracker
from Testing.inference_backend.weights import hub_server

LICENCE = "You may look, not touch. Für die Forschung.\n" * 60
"""Longer than a small file of the hub, in letters that are not ASCII."""

FILES = {
    "LICENSE": LICENCE.encode(),
    "README.md": b"# A tiny model\n",
    "config.json": b'{"model_type": "tiny"}\n',
    "llm/model.safetensors": random.Random(1).randbytes(300_000),
    "llm/config.json": b"{}\n",
    "trainer_state.json": b"[]" * 4000,
    "pytorch_model.bin": b"a pickle" * 1000,
}


def tiny_entry(needs_consent: bool = True) -> Entry:
    return Entry(
        id="TINY",
        kind=Kind.EXPERT,
        title="A tiny model",
        licence=Licence("Look, not touch", ("LICENSE",), needs_consent),
        files={"llm/model.safetensors": 300_000},
        hub=Hub(hub_server.REPOSITORY, hub_server.COMMIT),
        keep=("LICENSE", "README.md", "*.json", "*.safetensors"),
        leave_out=("trainer_state.json",),
    )


@pytest.fixture
def entry() -> Entry:
    """Free to use, so that a test of something else need not consent."""
    return tiny_entry(needs_consent=False)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[hub_server.Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "no token"))
    with hub_server.running_hub(dict(FILES)) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> WeightsFolder:
    return WeightsFolder(tmp_path / "weights", tmp_path / "demo_model")


@pytest.fixture
def downloader(folder: WeightsFolder) -> Downloader:
    return Downloader(folder, Patience(tries=3, first_wait=0.01, longest_wait=0.05))


def source(hub: hub_server.Hub, entry: Entry) -> HubSource:
    return HubSource(entry, hub.url, Timeouts(connect=2, silence=0.5))


def fetch(downloader: Downloader, hub: hub_server.Hub, entry: Entry, *accepted: str) -> None:
    acceptance = Acceptance(accepted, "A. Person")
    downloader.download(entry, source(hub, entry), Tracker(), acceptance)
