"""The README's snippets run, in its order, from the root of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


def test_snippets_run(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    text = (repository / "inference_backend" / "vila_m3" / "README.md").read_text()
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(snippets) == 9
    namespace: dict[str, object] = {}
    for snippet in snippets:
        exec(compile(snippet, "README.md", "exec"), namespace)
