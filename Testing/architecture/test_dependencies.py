"""Dependencies point one way; read from the imports, so that no wrong one slips in."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "monai", "peft"}
SLICER_SHIPS = {"numpy", "vtk", "vtkmodules", "slicer", "slicer_core"}
DESKTOP_SHIPS = {"ctk", "qt", "SampleData"}

ALLOWED = {
    "inference_backend/imaging": {"imaging", "conversation.wording"},
    "inference_backend/vila_m3": {"vila_m3", "torchvision_import", "weights.permission"},
    "inference_backend/weights": {
        "weights",
        "failures",
        "vila_m3.precision",
        "vila_m3.checkpoint",
        "installation.processes",
        "installation.progress",
        "installation.steps",
    },
    "inference_backend/experts": {
        "experts",
        "weights.catalogue",
        "weights.folder",
        "weights.permission",
        "imaging",
        "conversation.interfaces",
        "conversation.model_cards",
        "conversation.wording",
    },
    "inference_backend/conversation": {"conversation"},
    "inference_backend/store": {"store", "imaging"},
    "inference_backend/runtime": {
        "runtime",
        "failures",
        "conversation",
        "experts",
        "imaging",
        "store",
        "vila_m3",
        "weights",
    },
    "inference_backend/service": {"service", "failures", "conversation", "store"},
}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        yield from _names(node)


def _names(node: ast.AST) -> Iterator[str]:
    """What a statement imports, nothing where it is no import."""
    if isinstance(node, ast.ImportFrom) and node.level == 0:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)


def sources(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.py"))
    assert found, f"{folder} holds no code"
    return found


@pytest.mark.parametrize("part", ALLOWED)
def test_backend_parts_import_only_what_lies_below_them(repository: Path, part: str) -> None:
    for path in sources(repository / part):
        for name in imported(path):
            if name.startswith("inference_backend."):
                inner = name.removeprefix("inference_backend.")
                assert any(inner == ok or inner.startswith(f"{ok}.") for ok in ALLOWED[part]), (
                    f"{path}: {name}"
                )


def test_backend_knows_of_the_front_end_only_the_wire(repository: Path) -> None:
    for path in sources(repository / "inference_backend"):
        front = [name for name in imported(path) if name.startswith(("VILAM3SlicerLib", "browser_viewer"))]
        assert all(name.startswith("VILAM3SlicerLib.protocol") for name in front), path


def test_front_ends_know_nothing_of_the_backend(repository: Path) -> None:
    for path in sources(repository / "VILAM3Slicer"):
        assert not [name for name in imported(path) if name.startswith("inference_backend")], path


def test_shared_library_imports_nothing_that_slicer_does_not_ship(repository: Path) -> None:
    known = {"VILAM3SlicerLib", "__future__", *sys.stdlib_module_names, *SLICER_SHIPS}
    for path in sources(repository / "VILAM3Slicer/VILAM3SlicerLib"):
        toolkit = DESKTOP_SHIPS if "desktop" in path.parts else set()
        assert {name.split(".")[0] for name in imported(path)} <= known | toolkit, path


def test_the_module_imports_at_file_scope_only_what_every_slicer_has(repository: Path) -> None:
    tree = ast.parse((repository / "VILAM3Slicer/VILAM3Slicer.py").read_text())
    names = {name.split(".")[0] for node in tree.body for name in _names(node)}
    assert names <= {"VILAM3SlicerLib", "qt", *sys.stdlib_module_names, *SLICER_SHIPS}


def test_nothing_is_done_when_a_file_is_imported(repository: Path) -> None:
    """Slicer imports a module at its start: no file is read then, nothing installed, nothing sent."""
    files = [repository / "VILAM3Slicer/VILAM3Slicer.py"]
    for path in [*files, *sources(repository / "VILAM3Slicer/VILAM3SlicerLib")]:
        for node in ast.parse(path.read_text()).body:
            assert isinstance(node, DEFINING) or _is_guarded(node) or _is_text(node), f"{path}:{node.lineno}"


DEFINING = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.ClassDef,
    ast.Assign,
    ast.AnnAssign,
)


def _is_guarded(node: ast.stmt) -> bool:
    """For type checkers only, or where the file is run as a program of its own."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "TYPE_CHECKING",
        "__name__ == '__main__'",
    )


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


FRONT_END_ORDER = {
    "protocol": {"protocol"},
    "scene": {"scene", "protocol"},
    "chat": {"chat", "protocol"},
    "connection": {"connection", "chat.interfaces", "protocol"},
    "viewer": {"viewer", "connection", "chat", "scene", "protocol"},
}


@pytest.mark.parametrize("part", FRONT_END_ORDER)
def test_library_parts_import_only_what_lies_below_them(repository: Path, part: str) -> None:
    for path in sources(repository / "VILAM3Slicer/VILAM3SlicerLib" / part):
        for name in imported(path):
            inner = name.removeprefix("VILAM3SlicerLib.")
            allowed = FRONT_END_ORDER[part]
            assert inner == name or any(f"{inner}.".startswith(f"{ok}.") for ok in allowed), f"{path}: {name}"


@pytest.mark.parametrize("part", ["chat", "connection"])
def test_decisions_need_no_toolkit_and_no_scene_classes(repository: Path, part: str) -> None:
    for path in sources(repository / "VILAM3Slicer/VILAM3SlicerLib" / part):
        assert not {name.split(".")[0] for name in imported(path)} & (SLICER_SHIPS - {"numpy"}), path


def test_only_one_file_of_each_front_end_opens_connections(repository: Path) -> None:
    """Else there were a way around the gate that scans pass only with consent (``connection.http``)."""
    modules = ("httpx", "requests", "urllib.request", "http.client", "urllib3", "socket")
    classes = ("QNetworkAccessManager", "QTcpSocket", "QSslSocket", "ClientSession")
    allowed = {"httpx_http.py", "backend_client.py", "qt_http.py", "blocking_http.py"}
    for path in sources(repository / "VILAM3Slicer"):
        found = [name for name in imported(path) if name.startswith(modules)]
        found += [name for name in classes if name in path.read_text()]
        assert not found or path.name in allowed, f"{path}: {found}"


@pytest.mark.parametrize("module", ["inference_backend.service", "inference_backend.conversation.loop"])
def test_the_http_process_stays_free_of_heavy_packages(repository: Path, module: str) -> None:
    code = f"import {module}, sys; print(sorted(set(sys.modules) & {HEAVY!r}))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=repository
    )
    assert run.stdout.strip() == "[]"


def test_set_up_needs_the_standard_library_only(repository: Path) -> None:
    files = [repository / "setup_backend.py", *sources(repository / "inference_backend/installation")]
    known = {"inference_backend", "VILAM3SlicerLib", "__future__", *sys.stdlib_module_names}
    for path in files:
        if path.name != "egl_probe.py":  # runs in the environment that was set up
            assert {name.split(".")[0] for name in imported(path)} <= known, path


def test_no_source_file_is_longer_than_400_lines(repository: Path) -> None:
    folders = ("inference_backend", "VILAM3Slicer", "Testing")
    files = [path for folder in folders for path in sources(repository / folder)]
    long = {str(path): lines for path in files if (lines := path.read_text().count("\n")) > 400}
    assert not long
