"""The reference conversations as parameters, and their checkpoints loaded once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from inference_backend.vila_m3.loading import load_model
from inference_backend.vila_m3.messages import Message, messages_from_json
from inference_backend.vila_m3.model import VilaM3Model
from inference_backend.vila_m3.tokenizer import Tokenizer, open_tokenizer

GOLDEN = Path(__file__).resolve().parents[2] / "data" / "golden"
SETS = tuple(sorted(path.parent.name for path in GOLDEN.glob("*/index.json")))


def read_index(name: str) -> dict[str, Any]:
    index: dict[str, Any] = json.loads((GOLDEN / name / "index.json").read_text())
    return index


@dataclass(frozen=True)
class Conversation:
    """One conversation of a reference set: what went in, and what the original computed."""

    set_name: str
    name: str
    facts: dict[str, Any]

    @property
    def messages(self) -> list[Message]:
        return messages_from_json(self.facts["messages"], GOLDEN / self.set_name)

    @property
    def generation_header(self) -> bool:
        """The plain vicuna conversations are what the demo sends: without the assistant's header."""
        return self.set_name.startswith("s8") or self.name.endswith("__assistant_header")

    @cached_property
    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        with np.load(GOLDEN / self.set_name / f"{self.name}.npz") as file:
            return dict(file)


CONVERSATIONS = [
    Conversation(set_name, name, facts)
    for set_name in SETS
    for name, facts in read_index(set_name)["conversations"].items()
]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "conversation" in metafunc.fixturenames:
        ids = [f"{conversation.set_name}-{conversation.name}" for conversation in CONVERSATIONS]
        metafunc.parametrize("conversation", CONVERSATIONS, ids=ids)
    elif "set_name" in metafunc.fixturenames:
        metafunc.parametrize("set_name", SETS)


@pytest.fixture(scope="session")
def models() -> Callable[[str], VilaM3Model]:
    """The model of a reference set, loaded on first use."""
    loaded: dict[str, VilaM3Model] = {}

    def model_of(set_name: str) -> VilaM3Model:
        if set_name not in loaded:
            loaded[set_name] = load_model(GOLDEN / set_name / "checkpoint")
        return loaded[set_name]

    return model_of


@pytest.fixture
def model(models: Callable[[str], VilaM3Model], request: pytest.FixtureRequest) -> VilaM3Model:
    """The model of the conversation or the set that the test runs for; else the llama_3 one."""
    if "conversation" in request.fixturenames:
        return models(request.getfixturevalue("conversation").set_name)
    return models(request.getfixturevalue("set_name") if "set_name" in request.fixturenames else "s8_llama3")


@pytest.fixture
def tokenizer(set_name: str) -> Tokenizer:
    """The tokenizer of a reference set."""
    return open_tokenizer(GOLDEN / set_name / "checkpoint" / "llm")


@pytest.fixture
def tokenizer_cases(set_name: str) -> dict[str, list[dict[str, Any]]]:
    """What the original tokenizer of a reference set did."""
    cases: dict[str, list[dict[str, Any]]] = json.loads(
        (GOLDEN / set_name / "tokenizer_cases.json").read_text()
    )
    return cases


@pytest.fixture
def copy_of_checkpoint(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a reference set's checkpoint folder, to be changed or damaged."""

    def copy(set_name: str) -> Path:
        return Path(shutil.copytree(GOLDEN / set_name / "checkpoint", tmp_path / set_name))

    return copy
