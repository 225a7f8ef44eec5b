"""Slicer is built with Qt 5.15 or with Qt 6: the panels use nothing that only one of them has.

The names were compared in two desktop Slicers, one with Qt 5.15.8 and one with Qt 6.4.2.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

ONLY_IN_5 = {
    *("QDesktopWidget", "QDirModel", "QMatrix", "QMediaContent", "QMediaPlaylist", "QMutexLocker"),
    *("QNetworkConfigurationManager", "QNetworkSession", "QRegExp", "QRegExpValidator", "QSound"),
    *("QStateMachine", "QTextCodec", "QTextDecoder", "QTextEncoder", "QTouchDevice"),
    *("AdjustToMinimumContentsLength", "BackgroundColorRole", "DirectoryOnly", "FollowRedirectsAttribute"),
    *("HTTP2AllowedAttribute", "HighQualityAntialiasing", "ItemIsTristate", "LibraryLocation", "MatchRegExp"),
    *("MidButton", "SystemLocaleDate", "SystemLocaleShortDate", "TextColorRole", "WA_NoBackground"),
    *("charWidth", "codecForHtml", "fromTime_t", "grabWidget"),
    *("setConfirmOverwrite", "setIniCodec", "setPageSizeMM", "setTabStopWidth", "toTime_t"),
    *("viewOptions", "winPageSize"),
}
ONLY_IN_6 = {
    *("QAudioDevice", "QCameraDevice", "QEventPoint", "QInputDevice", "QKeyCombination", "QMediaDevices"),
    *("QNetworkInformation", "QPageRanges", "QPointingDevice", "QVersionNumber", "QVideoSink"),
    *("Http2CleartextAllowedAttribute", "LibraryPath", "SingleShotConnection", "deviceIndependentSize"),
    *("insertMarkdown", "isValidColorName", "pageRanges", "scenePosition", "startCommand"),
}
SIGNALS_ONLY_IN_5 = {
    *("activated(QString)", "currentIndexChanged(QString)", "highlighted(QString)", "buttonClicked(int)"),
    *("buttonToggled(int,bool)", "valueChanged(QString)", "mapped(int)"),
    *("error(QNetworkReply::NetworkError)", "error(QProcess::ProcessError)"),
}


@pytest.fixture(scope="module")
def qt_sources(repository: Path) -> list[Path]:
    """All code that knows Qt."""
    module = repository / "VILAM3Slicer"
    sources = [module / "VILAM3Slicer.py", *sorted((module / "VILAM3SlicerLib/desktop").glob("*.py"))]
    assert len(sources) > 20
    return [*sources, *sorted((repository / "Testing/desktop").glob("*.py"))]


def test_code_uses_no_name_of_one_qt_version(qt_sources: list[Path]) -> None:
    for path in qt_sources:
        tree = ast.parse(path.read_text())
        used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not used & (ONLY_IN_5 | ONLY_IN_6), path


def test_code_listens_to_no_signal_of_one_qt_version(qt_sources: list[Path]) -> None:
    texts = "\n".join(path.read_text() for path in qt_sources)
    signals = set(re.findall(r"connect\(\s*\"([\w:*<>, ]+\([^\"]*\))\"", texts))
    assert "clicked()" in signals
    assert not signals & SIGNALS_ONLY_IN_5


def test_ui_files_hold_nothing_of_one_qt_version(repository: Path) -> None:
    files = sorted((repository / "VILAM3Slicer/Resources/UI").glob("*.ui"))
    assert files
    for path in files:
        root = ElementTree.parse(path).getroot()
        classes = {widget.get("class") for widget in root.iter("widget")}
        values = {value.text.rpartition("::")[2] for value in root.iter("enum") if value.text}
        margins = [one for one in root.findall(".//layout/property") if one.get("name") == "margin"]
        assert not (classes | values) & (ONLY_IN_5 | ONLY_IN_6), path
        assert not margins, f"{path}: Qt 6 knows leftMargin to bottomMargin only"
