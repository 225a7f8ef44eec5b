"""Colours that tell segments apart."""

from __future__ import annotations

from collections.abc import Collection

from VILAM3SlicerLib.protocol.events import Color

PALETTE: tuple[Color, ...] = tuple(
    (red / 255, green / 255, blue / 255)
    for red, green, blue in (
        (68, 119, 170),
        (238, 102, 119),
        (34, 136, 51),
        (204, 187, 68),
        (102, 204, 238),
        (170, 51, 119),
        (238, 119, 51),
        (0, 153, 136),
        (153, 153, 51),
        (136, 34, 85),
        (51, 34, 136),
        (187, 187, 187),
    )
)
"""Paul Tol's "bright", "vibrant" and "muted" schemes, distinguishable with colour-blind eyes."""

_SHADES = (1.0, 0.75, 1.25, 0.6, 1.45)


def distinct_color(wanted: Color | None, used: Collection[Color]) -> Color:
    """The wanted colour, or the next of the palette; in another shade where it is taken.

    Left and right of an organ share one colour in Slicer's terminology; the shades tell them apart.
    """
    candidates = [
        _shade(color, factor) for factor in _SHADES for color in ([wanted] if wanted is not None else PALETTE)
    ]
    taken = {_rounded(color) for color in used}
    free = [color for color in candidates if _rounded(color) not in taken]
    return free[0] if free else candidates[len(used) % len(candidates)]


def _shade(color: Color, factor: float) -> Color:
    red, green, blue = (min(1.0, channel * factor) for channel in color)
    return red, green, blue


def _rounded(color: Color) -> tuple[int, ...]:
    return tuple(round(channel * 255) for channel in color)
