"""Words for a person that are written without a toolkit and can still be translated by one.

A file says ``_ = phrases(__name__)`` and then ``_("{count} of {total} found").format(count=1, total=2)``, as
Slicer's scripts do with their ``tr``, so that Slicer's tools find the words under the same context. What
comes of it is a text like any other, in English; a front end that has translations asks ``translated``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Translate = Callable[[str, str], str]
"""Gives words of a context (``folder.file``) in the person's language; the same words where it has none."""


class Phrase(str):
    """An English text that knows what it was made of; copies of it (JSON, pickle, asdict) are plain texts."""

    _context: str
    _template: str
    _values: Mapping[str, object] | None

    def __new__(cls, context: str, template: str, values: Mapping[str, object] | None = None) -> Phrase:
        text = super().__new__(cls, template if values is None else template.format(**values))
        text._context, text._template, text._values = context, template, values
        return text

    def format(self, **values: object) -> Phrase:  # type: ignore[override] # no values without names
        """The phrase with values in its places; a value may be a phrase."""
        return Phrase(self._context, self._template, values)

    def translated(self, translate: Translate) -> str:
        """In the person's language; in English where the translation lacks a place or has one too many."""
        words = translate(self._context, self._template) if self._context else self._template
        if self._values is None:
            return words
        values = {name: _value(value, translate) for name, value in self._values.items()}
        try:
            return words.format(**values)
        except (LookupError, ValueError):
            return self._template.format(**values)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)


def phrases(module: str) -> Callable[[str], Phrase]:
    """The function ``_`` of a file, by its ``__name__``."""
    context = ".".join(module.split(".")[-2:])
    return lambda text: Phrase(context, text)


def joined(separator: str, parts: Iterable[str]) -> Phrase:
    """Texts and phrases one after the other, as a phrase."""
    values = {f"part{number}": part for number, part in enumerate(parts)}
    template = "{separator}".join(f"{{{name}}}" for name in values)
    return Phrase("", template, {**values, "separator": separator})


def translated(text: str, translate: Translate) -> str:
    """A phrase in the person's language; any other text as it is."""
    return text.translated(translate) if isinstance(text, Phrase) else text


def _value(value: object, translate: Translate) -> object:
    return value.translated(translate) if isinstance(value, Phrase) else value
