"""view.png: the three slices and the 3D view in one picture, with captions and a legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

BACKGROUND = (16, 20, 24)
PLAIN = (225, 229, 234)
QUIET = (140, 149, 160)
GAP = 8
HEADER = 46
LEGEND_ROW = 30


@dataclass(frozen=True)
class LegendLine:
    """A segment in the legend; ``colour`` is red, green, blue, 0 to 255."""

    name: str
    size: str
    colour: tuple[int, int, int]


def compose_overview(
    panels: Mapping[str, NDArray[np.uint8]], title: str, notice: str, legend: Sequence[LegendLine]
) -> Image.Image:
    """Two rows of two panels under a title, the legend below.

    Args:
        panels: caption and pixels, shape (rows from the top, columns, 3), all of one size; four of them.
    """
    rows, columns, _ = next(iter(panels.values())).shape
    per_row = 4
    legend_rows = -(-len(legend) // per_row)
    width = 2 * columns + 3 * GAP
    height = HEADER + 2 * (rows + GAP) + GAP + legend_rows * LEGEND_ROW
    picture = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    draw.text((GAP + 4, 12), title, PLAIN, font=_font(20))
    draw.text((width - GAP - 4, 15), notice, QUIET, font=_font(15), anchor="ra")
    for place, (caption, pixels) in enumerate(panels.items()):
        left, top = panel_corner(place, rows, columns)
        picture.paste(Image.fromarray(pixels), (left, top))
        draw.text(
            (left + 12, top + 10), caption, PLAIN, font=_font(18), stroke_width=2, stroke_fill=(0, 0, 0)
        )
    step = width // per_row
    for place, line in enumerate(legend):
        left = GAP + 4 + (place % per_row) * step
        top = HEADER + 2 * (rows + GAP) + 4 + (place // per_row) * LEGEND_ROW
        draw.rounded_rectangle((left, top + 2, left + 18, top + 20), 4, line.colour)
        draw.text((left + 28, top + 1), f"{line.name}  {line.size}", PLAIN, font=_font(16))
    return picture


def panel_corner(place: int, rows: int, columns: int) -> tuple[int, int]:
    """Left and top of panel 0 to 3, in pixels of the picture."""
    return GAP + (place % 2) * (columns + GAP), HEADER + (place // 2) * (rows + GAP)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def coloured_share(pixels: NDArray[np.uint8]) -> float:
    """The share of pixels that are not grey, 0 to 1; shape (rows, columns, 3).

    Anatomical colours laid half through over dark lung differ by no more than 20 between their channels.
    """
    values = pixels.astype(np.int16)
    return float((values.max(axis=2) - values.min(axis=2) > 12).mean())
