"""The page's frame: bar, views, panel, dialogs. Its templates and style sheet lie in ``page_assets``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from trame.ui.vuetify3 import VAppLayout
from trame.widgets import html

ASSETS = Path(__file__).with_name("page_assets")
_BASE = "vilam3"
_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' "
    "height='32' rx='7' fill='%23171c22'/%3E%3Cpath d='M7 9h18v11H14l-5 5v-5H7z' fill='%237fb4ff'/%3E"
    "%3C/svg%3E"
)
"""trame-slicer's own icon would be fetched from another server."""


class _Assets:
    """What trame serves and loads for this page."""

    serve = {_BASE: str(ASSETS)}  # noqa: RUF012 - trame reads these names from a module or an object
    scripts = [f"{_BASE}/viewer.js"]  # noqa: RUF012
    styles = [f"{_BASE}/viewer.css"]  # noqa: RUF012


def prepare_server(server: Any) -> None:
    """Give a trame server the page's files, name and icon."""
    from trame_slicer import module as trame_slicer_module

    server.enable_module(trame_slicer_module)
    server.enable_module(_Assets)
    server.state.trame__title = "VILAM3Slicer"
    server.state.trame__favicon = _ICON


def build_layout(server: Any, fill_views: Callable[[Any], None]) -> VAppLayout:
    """Put the page together; ``fill_views`` adds the views where they belong."""
    with VAppLayout(server, vuetify_config={"theme": {"defaultTheme": "dark"}}) as layout:
        layout.root.theme = "dark"
        with html.Div(classes="page"):
            _template("bar.html")
            with html.Div(classes="work"):
                with html.Div(classes="views"):
                    fill_views(layout)
                    html.Div("Open a scan to begin.", v_if=("!scan.name",), classes="drop-hint")
                _template("chat.html", report="report.html")
        _template("dialogs.html")
    return layout


def _template(name: str, **parts: str) -> None:
    """A template of the page; each ``<!-- part -->`` in it is another one."""
    text = (ASSETS / name).read_text(encoding="utf-8")
    for part, file in parts.items():
        text = text.replace(f"<!-- {part} -->", (ASSETS / file).read_text(encoding="utf-8"))
    html.Div(text, style="display: contents")
