"""Dataclasses to JSON values and back, for the values of this package."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from VILAM3SlicerLib.protocol.errors import InvalidRequest

Value = TypeVar("Value")


def to_json(value: Any) -> dict[str, Any]:
    """A dataclass as a JSON object (tuples become lists when it is dumped)."""
    return asdict(value)


def from_json(kind: type[Value], data: object) -> Value:
    """Rebuild a dataclass from a JSON object; fields that it does not know are ignored.

    Raises:
        InvalidRequest: a field is missing or has another type; the message names it.
    """
    return _decode(kind, data, kind.__name__)  # type: ignore[no-any-return]


def _decode(kind: Any, data: object, where: str) -> Any:
    if is_dataclass(kind):
        return _decode_dataclass(kind, data, where)
    origin = get_origin(kind)
    if origin is tuple:
        return _decode_tuple(kind, data, where)
    if origin is dict:
        return _decode_dict(kind, data, where)
    if origin in (Union, types.UnionType):
        return _decode_optional(kind, data, where)
    if origin is Literal:
        return _expect(data in get_args(kind), data, where)
    if kind is float:
        return float(_expect(_is_number(data), data, where))
    return _expect(type(data) is kind, data, where)


def _decode_dataclass(kind: Any, data: object, where: str) -> Any:
    _expect(isinstance(data, Mapping), data, where)
    assert isinstance(data, Mapping)
    hints = get_type_hints(kind)
    arguments = {}
    for field in fields(kind):
        if field.name in data:
            arguments[field.name] = _decode(hints[field.name], data[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise InvalidRequest(f"{where}.{field.name} is missing.")
    return kind(**arguments)


def _decode_tuple(kind: Any, data: object, where: str) -> tuple[Any, ...]:
    _expect(isinstance(data, (list, tuple)), data, where)
    assert isinstance(data, (list, tuple))
    items = get_args(kind)
    if items[-1] is not Ellipsis:
        _expect(len(data) == len(items), data, where)
        return tuple(_decode(item, entry, where) for item, entry in zip(items, data, strict=True))
    return tuple(_decode(items[0], entry, f"{where}[{index}]") for index, entry in enumerate(data))


def _decode_dict(kind: Any, data: object, where: str) -> dict[str, Any]:
    """Names are texts, as JSON has no others."""
    _expect(isinstance(data, Mapping), data, where)
    assert isinstance(data, Mapping)
    _, item = get_args(kind)
    return {str(name): _decode(item, entry, f"{where}[{name}]") for name, entry in data.items()}


def _decode_optional(kind: Any, data: object, where: str) -> Any:
    if data is None and type(None) in get_args(kind):
        return None
    (present,) = (item for item in get_args(kind) if item is not type(None))
    return _decode(present, data, where)


def _is_number(data: object) -> bool:
    return isinstance(data, (int, float)) and not isinstance(data, bool)


def _expect(holds: bool, data: Any, where: str) -> Any:
    if not holds:
        raise InvalidRequest(f"{where} has a value of the wrong kind ({type(data).__name__}).")
    return data
