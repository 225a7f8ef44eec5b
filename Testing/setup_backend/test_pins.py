"""Every package that the project names or imports is declared and pinned."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
EVERYTHING = [*PROJECT["dependencies"], *chain.from_iterable(EXTRAS.values())]
OWN = {"inference_backend", "VILAM3SlicerLib", "browser_viewer", "setup_backend"}
OF_DESKTOP_SLICER = {"qt", "ctk", "SampleData"}
"""Come with the application and from no package index."""
OPTIONAL_USERS = {"egl_probe.py"}
"""Import what is there and do without it otherwise."""


def _name(requirement: str) -> str:
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def _pins() -> list[tuple[str, str]]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return [tuple(line.split("==")) for line in lines if line and not line.startswith("#")]  # type: ignore[misc]


def test_each_package_has_one_exact_version() -> None:
    names = Counter(name for name, _ in _pins())
    assert not [name for name, count in names.items() if count > 1]
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for _, version in _pins())


@pytest.mark.parametrize("requirement", sorted(EVERYTHING))
def test_requirement_is_pinned(requirement: str) -> None:
    assert _name(requirement) in {name for name, _ in _pins()}


def test_slicer_core_and_its_partners_are_the_ones_that_fit() -> None:
    assert {("slicer-core", "5.11.0.6"), ("slicer-layer-dm", "2.0.0"), ("vtk", "9.6.0")} <= set(_pins())


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        ("inference_backend", []),
        ("VILAM3Slicer/VILAM3SlicerLib", ["viewer"]),
        ("VILAM3Slicer/browser_viewer", ["viewer"]),
        ("Testing", ["viewer", "test"]),
    ],
)
def test_what_is_imported_is_declared(folder: str, extras: list[str]) -> None:
    wanted = chain(PROJECT["dependencies"], *(EXTRAS[extra] for extra in extras))
    declared = {_name(each) for each in wanted}
    distributions = packages_distributions()
    missing = {
        module: path
        for path, module in _imports(REPOSITORY / folder)
        if not declared & {_name(each) for each in distributions.get(module, [module])}
    }
    assert not missing


def _imports(folder: Path) -> Iterator[tuple[str, str]]:
    """File and top-level name of every import that is neither ours nor of the standard library."""
    local = {"Testing", *(path.stem for path in folder.rglob("*.py"))} if folder.name == "Testing" else set()
    for path in (each for each in folder.rglob("*.py") if each.name not in OPTIONAL_USERS):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for module in {name.partition(".")[0] for name in names}:
                if module not in sys.stdlib_module_names | OWN | OF_DESKTOP_SLICER | local:
                    yield str(path.relative_to(REPOSITORY)), module
