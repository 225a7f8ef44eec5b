"""Finding the expert call in what a model wrote.

The published system takes a reply's only ``<...>`` and looks for the expert's name in it. Models also write
the name in another case, leave out the parentheses or the closing bracket, or quote the argument: all of
that is understood here, for the experts that are offered. Nothing that a model wrote is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_CALL = re.compile(
    r"<\s*(?P<name>[A-Za-z][\w-]*)\s*"
    r"(?P<parentheses>\(\s*(?P<arguments>[^()<>]*)\)?)?\s*(?P<closed>>)?"
)
_QUOTES = "'\"`‘’“” ."  # noqa: RUF001 - typographic quotes that models write


@dataclass(frozen=True)
class Trigger:
    """A call of an expert: its name as registered where it is offered, else as written.

    ``text`` is what the model wrote, ``arguments`` what stands in its parentheses without quotes.
    """

    expert: str
    arguments: str
    text: str
    is_offered: bool


def find_trigger(reply: str, offered: Sequence[str]) -> Trigger | None:
    """The first call of an offered expert in a reply; failing that, the first call of any other.

    A name that is not offered counts as a call only where it has parentheses and a closing bracket, so that
    ``<image>`` and ``<5 mm>`` do not.
    """
    triggers = list(_triggers(reply, {_plain(name): name for name in offered}))
    return next((trigger for trigger in triggers if trigger.is_offered), triggers[0] if triggers else None)


def _triggers(reply: str, offered: dict[str, str]) -> Iterator[Trigger]:
    for match in _CALL.finditer(reply):
        name = offered.get(_plain(match["name"]))
        arguments = (match["arguments"] or "").strip(_QUOTES)
        if name is not None and (match["parentheses"] or match["closed"]):
            yield Trigger(name, arguments, match[0], is_offered=True)
        elif name is None and match["parentheses"] and match["closed"]:
            yield Trigger(match["name"], arguments, match[0], is_offered=False)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()
