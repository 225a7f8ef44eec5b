"""Lines of a program, and the world that another Python is started in."""

from __future__ import annotations

import pytest

from VILAM3SlicerLib.connection.programs import Lines, clean_environment, proxy_environment


@pytest.mark.parametrize("size", [1, 2, 5, 1000])
def test_lines_come_whole_however_they_are_cut(size: int) -> None:
    text = "first\r\nzweite Zeile: ü\n\nlast without an end".encode()
    told: list[str] = []
    lines = Lines(told.append)
    for start in range(0, len(text), size):
        lines.feed(text[start : start + size])
    lines.end()
    lines.end()
    assert told == ["first", "zweite Zeile: ü", "", "last without an end"]


def test_nothing_of_slicers_python_reaches_another_one() -> None:
    slicer = {"PYTHONHOME": "/s", "PYTHONPATH": "/s", "LD_LIBRARY_PATH": "/s", "QT_PLUGIN_PATH": "/s"}
    cleaned = clean_environment({**slicer, "PATH": "/bin", "VILAM3_KEY": "old"}, VILAM3_KEY="new")
    assert cleaned == {"PATH": "/bin", "VILAM3_KEY": "new"}


def test_a_proxy_is_told_in_both_spellings_and_none_leaves_the_systems() -> None:
    assert proxy_environment("") == {}
    assert set(proxy_environment("http://proxy:8080").values()) == {"http://proxy:8080"}
    assert {"HTTPS_PROXY", "https_proxy"} <= set(proxy_environment("http://proxy:8080"))
