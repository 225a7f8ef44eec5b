"""The documented example of asking from a script: Slicer Core, the real CT, the demo model, a real expert."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "VILAM3Slicer" / "VILAM3SlicerLib" / "viewer" / "README.md"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_the_documented_example_finds_the_lungs(demo_backend, chest_ct: Path, capsys) -> None:
    from browser_viewer.loading import read_scan
    from browser_viewer.slicer_views import add_scan, create_slicer

    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    app = create_slicer()
    names = {
        "scene": app.scene,
        "app_logic": app.app_logic,
        "volume": add_scan(app.scene, read_scan(chest_ct, "")),
        "backend": demo_backend.url,
        "key": demo_backend.key,
    }
    exec(example, names)
    said = capsys.readouterr().out
    for part in ("left lung", "right lung", "This is a CT image"):
        assert part in said
