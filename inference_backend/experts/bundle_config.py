"""The values of a MONAI bundle's configuration, read without running any of its code.

A bundle's ``configs/inference.json`` is a small program: strings that begin with ``$`` are Python and
``imports`` names modules to import. Here only its constants are taken: numbers, lists, references
(``@name``) and expressions that make lists of numbers. Transforms are made by name from a list of MONAI's
own; anything else in a downloaded file is refused, never run.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from VILAM3SlicerLib.protocol.errors import ExpertError

_BUILDERS: dict[str, Callable[..., Any]] = {"list": list, "set": set, "range": range, "sorted": sorted}

_GIVEN = {"LoadImaged", "EnsureChannelFirstd", "EnsureTyped", "CastToTyped", "VistaPreTransformd"}
"""Steps of a bundle that our caller does itself: volumes come as tensors, prompts apart from them."""

_TRANSFORMS = {"Spacingd", "CropForegroundd", "ScaleIntensityRanged", "Orientationd", "NormalizeIntensityd"}
"""MONAI's transforms that the published bundles use; others are not made from a file's word."""

_METADATA = ("configs/metadata.json", "metadata.json")
"""Where bundles keep it: the released layout, and that of the Hugging Face edition."""


class BundleConfig:
    """A bundle's inference configuration."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings

    @classmethod
    def read(cls, file: Path) -> BundleConfig:
        """The configuration in a JSON file.

        Raises:
            ExpertError: it cannot be read or is no JSON object.
        """
        return cls(read_json(file))

    def value(self, name: str) -> Any:
        """The constant of that name.

        Raises:
            ExpertError: it is missing, or it is code that makes more than lists of numbers.
        """
        return self._constant(self._entry(name))

    def options(self, name: str, component: str) -> dict[str, Any]:
        """The options of an entry that makes a ``component``.

        Raises:
            ExpertError: it is missing or makes something else.
        """
        entry = self._entry(name)
        if not isinstance(entry, Mapping) or _class_name(entry) != component:
            raise ExpertError(
                f"The bundle's '{name}' is not a {component}.",
                "This version of the bundle is not supported; fetch the one in the list of weights.",
            )
        return {key: self._constant(value) for key, value in entry.items() if key[0] != "_"}

    def steps(self, name: str, component: str) -> list[dict[str, Any]]:
        """The options of the steps of a list that are a ``component``."""
        found = [step for step in self._active(name) if _class_name(step) == component]
        return [
            {key: self._constant(value) for key, value in step.items() if key[0] != "_"} for step in found
        ]

    def transforms(self, name: str) -> list[Any]:
        """MONAI's transforms of a list, or of a composition, without those that load and convert.

        Raises:
            ExpertError: there is no such list, or one of its transforms is not known here.
        """
        return [self._transform(step) for step in self._active(name) if _class_name(step) not in _GIVEN]

    def _active(self, name: str) -> list[Mapping[str, Any]]:
        entry = self._entry(name)
        listed: Sequence[Mapping[str, Any]] = entry["transforms"] if isinstance(entry, Mapping) else entry
        return [step for step in listed if not step.get("_disabled_")]

    def _entry(self, name: str) -> Any:
        if name not in self._settings:
            raise ExpertError(
                f"The bundle's configuration has no '{name}'.",
                "It may be too new or damaged: fetch it again.",
            )
        return self._settings[name]

    def _transform(self, specification: Mapping[str, Any]) -> Any:
        from monai import transforms

        name = _class_name(specification)
        if name not in _TRANSFORMS:
            raise ExpertError(
                f"The bundle wants the step '{name}', which is not known here.",
                "This version of the bundle is newer than this program: update one of them.",
            )
        options = {key: self._constant(value) for key, value in specification.items() if key[0] != "_"}
        return getattr(transforms, name)(**options)

    def _constant(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("@"):
            return self.value(value[1:])
        if isinstance(value, str) and value.startswith("$"):
            return _evaluate(value[1:])
        if isinstance(value, Mapping):
            return {key: self._constant(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._constant(item) for item in value]
        return value


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        ExpertError: the file cannot be read or holds something else.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExpertError(f"{file.name} of the bundle cannot be read.", "Fetch the weights again.") from error
    if not isinstance(content, dict):
        raise ExpertError(f"{file.name} of the bundle is no JSON object.", "Fetch the weights again.")
    return content


def _class_name(specification: Mapping[str, Any]) -> str:
    return str(specification.get("_target_", "")).rpartition(".")[2]


def _evaluate(expression: str) -> Any:
    """The value of an expression that makes lists of numbers, worked out by walking it, not by ``eval``."""
    try:
        return _Walk({}).value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, TypeError, ValueError, _NotAConstant) as error:
        raise ExpertError(
            "The bundle's configuration holds code where a constant is needed.",
            "This version of the bundle is not supported; fetch the one in the list of weights.",
        ) from error


class _NotAConstant(Exception):
    """An expression is more than a constant."""


class _Walk:
    """Works out numbers, lists, sums, differences, ``list``/``set``/``range`` and one-loop comprehensions."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._names = names

    def value(self, node: ast.expr) -> Any:
        match node:
            case ast.Constant(value=value) if isinstance(value, int | float | str | bool | None):
                return value
            case ast.Name(id=name) if name in self._names:
                return self._names[name]
            case ast.List(elts=items) | ast.Tuple(elts=items):
                return [self.value(item) for item in items]
            case ast.Set(elts=items):
                return {self.value(item) for item in items}
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                return self.value(left) + self.value(right)
            case ast.BinOp(left=left, op=ast.Sub(), right=right):
                return self.value(left) - self.value(right)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _BUILDERS:
                return _BUILDERS[name](*(self.value(argument) for argument in arguments))
            case ast.ListComp(elt=item, generators=[loop]) if isinstance(loop.target, ast.Name):
                return self._comprehension(item, loop.target.id, loop)
        raise _NotAConstant

    def _comprehension(self, item: ast.expr, name: str, loop: ast.comprehension) -> list[Any]:
        values: Iterable[Any] = self.value(loop.iter)
        if loop.ifs:
            raise _NotAConstant
        return [_Walk({**self._names, name: value}).value(item) for value in values]


def bundle_version(folder: Path) -> str:
    """The version that the bundle's metadata names, empty where there is none."""
    metadata = next((folder / name for name in _METADATA if (folder / name).is_file()), None)
    return str(read_json(metadata).get("version", "")) if metadata else ""
