"""The front of a document: title block and table of contents."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from services.pdf_worker.atoms import Span
from services.pdf_worker.blocks import align_start
from services.pdf_worker.column import Column
from services.pdf_worker.items import Heading, Item, Part, bind, space
from services.pdf_worker.lines import Line, break_lines
from services.pdf_worker.shaping import base_level
from services.pdf_worker.structure import Element
from services.pdf_worker.styles import ACCENT, INK, MUTED, RULE, Font, Style

if TYPE_CHECKING:
    from services.pdf_worker.pen import Pen

TITLE_SIZES = ((60, 26.0), (120, 22.0), (100_000, 18.0))
"""Characters of a title up to which a size is used."""

DEEPEST = 3
"""Levels of headings in the table of contents."""

MOST_ENTRIES = 90
"""About two pages; a longer table of contents leaves out its deepest levels."""


@dataclass(frozen=True)
class _Bar:
    width: float
    thickness: float
    color: str

    def draw(self, pen: "Pen", x: float, y: float, element: Element) -> None:  # noqa: ARG002 - a bar is no content
        pen.panel(x, y, self.width, self.thickness, self.color)


def written_date(moment: str) -> str:
    """The day of an RFC 3339 time as `2026-11-23`, which reads the same in every language; empty if there is none."""
    if not moment:
        return ""
    try:
        return datetime.fromisoformat(moment.replace("Z", "+00:00")).date().isoformat()
    except ValueError:
        return ""


def title_items(
    title: Sequence[Span], subtitle: str, facts: Sequence[str], column: Column, language: str
) -> list[Item]:
    """Lay out the title block.

    Args:
        title: The title as spans; their size is set here.
        subtitle: A line below it, or empty.
        facts: Date, model, report id; empty ones are left out.
        column: The page's column.
        language: BCP 47 tag.
    """
    right = bool(base_level("".join(span.text for span in title)))
    length = sum(len(span.text) for span in title)
    size = next(size for most, size in TITLE_SIZES if length <= most)
    bar = 44.0
    items = [
        Item(
            13.0, [Part(column.x + (column.width - bar if right else 0.0), 0.0, _Bar(bar, 3.0, ACCENT), column.element)]
        )
    ]
    big = [
        replace(
            span, style=replace(span.style, size=size, font=span.style.font._replace(bold=True), color=INK, rise=0.0)
        )
        for span in title
    ]
    items += _lines(big, column, Element("H1", column.element), language, 1.22)
    if subtitle:
        items.append(space(5.0))
        items += _lines(
            [Span(subtitle, Style(Font(), 12.0, MUTED))], column, Element("P", column.element), language, 1.4
        )
    known = [fact for fact in facts if fact]
    if known:
        items.append(space(8.0))
        own = _lines(
            [Span("  \u00b7  ".join(known), Style(Font(), 8.8, MUTED))],
            column,
            Element("P", column.element),
            language,
            1.5,
        )
        items += _to_right(own, column) if right else own
    items.append(Item(22.0, [Part(column.x, 10.0, _Bar(column.width, 0.6, RULE), column.element)]))
    for item in items:
        item.keep = True
    return items


def _to_right(items: list[Item], column: Column) -> list[Item]:
    for item in items:
        for part in item.parts:
            if isinstance(part.thing, Line):
                part.thing.indent = column.width - part.thing.width
    return items


def _lines(own: list[Span], column: Column, element: Element, language: str, leading: float) -> list[Item]:
    lines = break_lines(own, column.width, language, leading=leading)
    align_start(lines, own, column.width)
    return bind([Item(line.height, [Part(column.x, 0.0, line, element)]) for line in lines])


@dataclass
class _Entry:
    """The last line of an entry: dots and the page number, which is known only once the pages are cut."""

    line: Line
    width: float
    name: str
    style: Style
    pages: Mapping[str, int]
    language: str
    right: bool

    def draw(self, pen: "Pen", x: float, y: float, element: Element) -> None:
        number = break_lines([Span(str(self.pages.get(self.name, 1)), self.style)], 60.0, self.language)[0]
        number.baseline = self.line.baseline
        text_x = x + self.width - self.line.width if self.right else x
        number_x = x if self.right else x + self.width - number.width
        pen.line(replace_indent(self.line), text_x, y, element)
        start = number_x + number.width + 5.0 if self.right else text_x + self.line.width + 5.0
        end = text_x - 5.0 if self.right else number_x - 5.0
        pen.dots(start, y + self.line.baseline, end, MUTED)
        pen.line(number, number_x, y, element)


def replace_indent(line: Line) -> Line:
    """The same line against the left edge of wherever it is drawn."""
    line.indent = 0.0
    return line


def contents_items(
    headings: Sequence[Heading], pages: Mapping[str, int], column: Column, language: str, label: str
) -> list[Item]:
    """Lay out a table of contents.

    Args:
        headings: The document's headings, in order.
        pages: Name of a heading to the number of its page; filled in before the drawing.
        column: The page's column.
        language: BCP 47 tag.
        label: The heading of the table.
    """
    element = Element("TOC", column.element)
    top = min((heading.level for heading in headings), default=1)
    title = _lines(
        [Span(label, Style(Font(bold=True), 12.4, ACCENT))], column, Element("Caption", element), language, 1.25
    )
    items = [*title, space(6.0)]
    for item in items:
        item.keep = True
    depths = (
        depth
        for depth in range(DEEPEST, 0, -1)
        if sum(heading.level - top < depth for heading in headings) <= MOST_ENTRIES
    )
    deepest = next(depths, 1)
    for heading in headings:
        level = heading.level - top
        if level >= deepest:
            continue
        style = Style(
            Font(bold=level == 0), 9.6 if level == 0 else 9.2, INK if level == 0 else MUTED, link=f"#{heading.name}"
        )
        inner = column.indented(14.0 * level)
        right = bool(base_level(heading.title))
        if right:
            inner = replace(inner, x=column.x)
        entry = Element("TOCI", element)
        lines = break_lines([Span(heading.title, style)], inner.width - 40.0, language, leading=1.5)
        if level == 0 and len(items) > len(title) + 1:
            items.append(space(3.0))
        for line in lines[:-1]:
            line.indent = inner.width - line.width if right else 0.0
            items.append(Item(line.height, [Part(inner.x, 0.0, line, entry)], keep=True))
        last = lines[-1]
        items.append(
            Item(
                last.height,
                [Part(inner.x, 0.0, _Entry(last, inner.width, heading.name, style, pages, language, right), entry)],
            )
        )
    return items
