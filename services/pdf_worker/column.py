"""Where a block is set: a column of the page, with what it inherits from the blocks around it."""

from dataclasses import dataclass, replace

from services.pdf_worker.items import Panel
from services.pdf_worker.structure import Element
from services.pdf_worker.styles import Style

NARROWEST = 150.0
"""Below this width, in points, deeper nesting indents only by hair's breadths, so that text stays readable."""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        x: Left edge on the page.
        width: In points.
        element: Structure element that blocks hang in.
        style: Of running text.
        panels: Behind every block, outermost first.
        depth: Lists around this one.
        leading: Line height over font size.
    """

    x: float
    width: float
    element: Element
    style: Style
    panels: tuple[Panel, ...] = ()
    depth: int = 0
    leading: float = 1.5

    def indented(self, left: float, right: float = 0.0) -> "Column":
        """A column narrower by the given indents, as far as there is room for them."""
        scale = min(1.0, max(self.width - left - right - NARROWEST, 0.0) / max(left + right, 1.0) + 0.12)
        return replace(self, x=self.x + left * scale, width=self.width - (left + right) * scale)
