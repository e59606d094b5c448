"""The look of a report: type scale, colours, measures. All lengths are PDF points (1/72 inch)."""

from dataclasses import dataclass
from typing import NamedTuple

from services.contracts.reports import Paper

PAGE_SIZES = {Paper.A4: (595.276, 841.890), Paper.LETTER: (612.0, 792.0)}
"""ISO 216 A4 and ANSI A, in points."""

MARGIN_SIDE = 74.0
MARGIN_TOP = 78.0
MARGIN_BOTTOM = 76.0
"""With 10 pt Noto Sans the A4 column holds about 85 characters, the upper end of what reads well."""

INK = "0.11 0.13 0.17"
MUTED = "0.38 0.42 0.48"
ACCENT = "0.02 0.36 0.43"
RULE = "0.82 0.84 0.87"
PANEL = "0.961 0.969 0.976"
WHITE = "1 1 1"

BODY = 10.0
LEADING = 1.5
"""Line height over size. Noto's tall scripts (Thai, Devanagari with marks) need 1.5 to keep lines apart."""


class Font(NamedTuple):
    """What is asked of a font; which face answers depends on the character."""

    mono: bool = False
    bold: bool = False
    italic: bool = False


REGULAR = Font()


@dataclass(frozen=True)
class Style:
    """How a run of text looks.

    Attributes:
        font: Family and variant.
        size: In points.
        color: Red, green and blue from 0 to 1, as PDF writes them.
        rise: Baseline shift in points, for superscripts.
        strike: Struck through.
        panel: Colour behind the run, for inline code; empty for none.
        link: Address (`https://…`) or internal name (`#…`) the run leads to; empty for none.
    """

    font: Font = REGULAR
    size: float = BODY
    color: str = INK
    rise: float = 0.0
    strike: bool = False
    panel: str = ""
    link: str = ""


HEADINGS = {
    1: (19.0, 24.0, 9.0, INK),
    2: (15.0, 22.0, 7.0, ACCENT),
    3: (12.4, 18.0, 5.0, INK),
    4: (10.8, 14.0, 4.0, INK),
    5: (10.0, 12.0, 3.0, MUTED),
    6: (9.4, 12.0, 3.0, MUTED),
}
"""Level: size, space above, space below, colour. The sizes step by about 1.25 (a major third)."""
