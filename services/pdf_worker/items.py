"""What stands on a page: items of fixed height, in one vertical list that the pages are cut from."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from services.pdf_worker.lines import Line
from services.pdf_worker.structure import Element

if TYPE_CHECKING:
    from services.pdf_worker.pen import Pen


class Drawing(Protocol):
    """Anything but a line of text that an item can hold."""

    def draw(self, pen: "Pen", x: float, y: float, element: Element) -> None:
        """Draw with the top left corner at (x, y)."""


@dataclass(slots=True)
class Part:
    """Something at a place in an item: `x` from the page's left edge, `y` from the item's top, in points."""

    x: float
    y: float
    thing: "Line | Drawing"
    element: Element


@dataclass(eq=False)
class Panel:
    """What lies behind a run of items, on every page that they reach: a background, a bar at the side.

    Attributes:
        x: Left edge.
        width: In points.
        fill: Background colour, or empty.
        bar: Colour of the bar, or empty.
        right: The bar stands at the right edge, for right-to-left text.
        radius: Of the background's corners.
    """

    x: float
    width: float
    fill: str = ""
    bar: str = ""
    right: bool = False
    radius: float = 0.0

    def draw(self, pen: "Pen", top: float, bottom: float) -> None:
        """Draw behind what stands between `top` and `bottom`."""
        if self.fill:
            pen.panel(self.x, top, self.width, bottom - top, self.fill, self.radius)
        if self.bar:
            x = self.x + self.width - 2.4 if self.right else self.x
            pen.panel(x, top, 2.4, bottom - top, self.bar)


@dataclass(slots=True)
class Heading:
    """An entry of the table of contents and of the bookmarks."""

    level: int
    title: str
    name: str


@dataclass(eq=False)
class TableHead:
    """The head of a table, drawn again at the top of each page that the table reaches."""

    items: list["Item"]

    @property
    def height(self) -> float:
        """In points."""
        return sum(item.height for item in self.items)


@dataclass(slots=True)
class Item:
    """A strip of the page that is never cut.

    Attributes:
        height: In points.
        parts: What is drawn.
        stick: No page break before this item.
        keep: No page break after this item.
        glue: Empty space, dropped at the top of a page.
        panels: What lies behind it, outermost first.
        notes: Footnotes called here, to stand at the foot of the same page.
        names: Places that links can lead to.
        heading: Set on the first item of a heading.
        head: The table this belongs to, unless this is its head.
    """

    height: float
    parts: list[Part] = field(default_factory=list)
    stick: bool = False
    keep: bool = False
    glue: bool = False
    panels: tuple[Panel, ...] = ()
    notes: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    heading: Heading | None = None
    head: TableHead | None = None


def space(height: float, panels: tuple[Panel, ...] = (), *, keep: bool = False) -> Item:
    """Empty space between blocks."""
    return Item(height, glue=True, keep=keep, panels=panels)


def bind(items: list[Item]) -> list[Item]:
    """Keep the first two and the last two of a run of lines together: no widows, no orphans."""
    if len(items) > 1:
        items[1].stick = True
        items[-1].stick = True
    return items
