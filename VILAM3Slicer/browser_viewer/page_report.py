"""The report on the page: what is shown of it, and what the person does with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from browser_viewer.page_rows import Row
from VILAM3SlicerLib.viewer.report_desk import ReportDesk


class ReportActions:
    """The page's actions on the report."""

    def __init__(self, desk: ReportDesk) -> None:
        self._desk = desk

    @property
    def triggers(self) -> dict[str, Callable[..., Any]]:
        """The actions by the names under which the templates call them."""
        return {
            "report_edit": self._desk.edit,
            "report_add": self._desk.add,
            "report_move": self._desk.move,
            "report_anew": self._desk.start_anew,
            "report_text": self._desk.text,
            "report_markdown": self._desk.markdown,
            "report_html": self._desk.html,
            "report_into_scene": self._put_into_scene,
        }

    def rows(self) -> list[Row]:
        """The sections as the templates take them."""
        return [
            {
                "name": section.name,
                "title": section.title,
                "sentences": [
                    {"text": one.text, "label": one.source.label, "kind": one.source.kind}
                    for one in section.sentences
                ],
            }
            for section in self._desk.document.sections
        ]

    def _put_into_scene(self) -> None:
        self._desk.into_scene()
