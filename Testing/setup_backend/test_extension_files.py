"""The files by which 3D Slicer knows the extension agree with the tree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from PIL import Image

from inference_backend.installation import source

REPOSITORY = Path(__file__).resolve().parents[2]
MODULE = REPOSITORY / "VILAM3Slicer"


def _listed(name: str) -> set[str]:
    match = re.search(rf"set\({name}\n(.*?)\n\s*\)", (MODULE / "CMakeLists.txt").read_text(), re.DOTALL)
    assert match is not None
    return {line.strip() for line in match.group(1).splitlines()}


def test_every_file_of_the_library_is_packaged() -> None:
    library = MODULE / "VILAM3SlicerLib"
    tree = {path.relative_to(MODULE).as_posix() for path in library.rglob("*.py")}
    assert _listed("MODULE_PYTHON_SCRIPTS") == tree | {"${MODULE_NAME}.py"}


def test_every_resource_is_packaged() -> None:
    tree = {
        path.relative_to(MODULE).as_posix() for path in (MODULE / "Resources").rglob("*") if path.is_file()
    }
    data = {
        path.relative_to(MODULE).as_posix()
        for path in (MODULE / "VILAM3SlicerLib").rglob("*")
        if path.suffix in (".json", ".csv", ".png", ".ui")
    }
    assert _listed("MODULE_PYTHON_RESOURCES") == tree | data


def test_the_backend_is_packaged_as_it_is_installed() -> None:
    text = (REPOSITORY / "CMakeLists.txt").read_text()
    for name, paths in (("FILES", source.FILES), ("FOLDERS", source.FOLDERS)):
        match = re.search(rf"set\(BACKEND_{name} (.*?)\)", text)
        assert match is not None
        assert match.group(1).split() == list(paths)
        assert all((REPOSITORY / path).exists() for path in paths)


def test_extension_is_named_and_described() -> None:
    text = (REPOSITORY / "CMakeLists.txt").read_text()
    assert "project(VILAM3Slicer)" in text
    for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "DEPENDS"):
        assert re.search(rf'set\(EXTENSION_{name} "[^"]+"\)', text)


def test_no_word_of_the_description_is_lost_where_slicer_passes_it_on() -> None:
    """Slicer's macros hand the texts on unquoted: at a semicolon CMake ends a list's item, and the text."""
    text = (REPOSITORY / "CMakeLists.txt").read_text()
    values = re.findall(r'set\(EXTENSION_\w+ "([^"]+)"\)', text)
    assert values
    assert [value for value in values if ";" in value] == []


def test_pictures_that_the_extension_names_are_here() -> None:
    text = (REPOSITORY / "CMakeLists.txt").read_text()
    for path in re.findall(r"raw/main/([^\" ]+)", text):
        assert (REPOSITORY / path).is_file(), path


def test_icons_have_the_size_that_slicer_shows() -> None:
    for folder in (REPOSITORY, MODULE):
        icons = sorted((folder / "Resources" / "Icons").glob("*.png"))
        assert icons
        for path in icons:
            with Image.open(path) as icon:
                assert (icon.size, icon.mode) == ((128, 128), "RGBA"), path


def test_module_has_the_classes_that_slicer_looks_for() -> None:
    tree = ast.parse((MODULE / "VILAM3Slicer.py").read_text())
    names = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    assert {f"VILAM3Slicer{part}" for part in ("", "Widget", "Logic", "Test", "ParameterNode")} <= names


def test_each_ui_file_is_loaded_by_its_name() -> None:
    code = "\n".join(
        path.read_text() for path in sorted((MODULE / "VILAM3SlicerLib" / "desktop").glob("*.py"))
    )
    code += (MODULE / "VILAM3Slicer.py").read_text()
    for path in (MODULE / "Resources" / "UI").glob("*.ui"):
        assert f'load_ui("{path.stem}")' in code or f"UI/{path.name}" in code, path
        assert f"<class>{path.stem}</class>" in path.read_text(), path
