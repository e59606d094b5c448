"""Tables: column widths by content, long cells wrap and break over pages, wide tables shrink and then split."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from services.pdf_worker.atoms import Span, atoms
from services.pdf_worker.code import literal_items
from services.pdf_worker.column import Column
from services.pdf_worker.inline import spans
from services.pdf_worker.items import Item, Part, TableHead, space
from services.pdf_worker.lines import Line, break_lines
from services.pdf_worker.markdown import Node
from services.pdf_worker.shaping import base_level
from services.pdf_worker.structure import Element
from services.pdf_worker.styles import ACCENT, PANEL, RULE, Font

if TYPE_CHECKING:
    from services.pdf_worker.blocks import Blocks
    from services.pdf_worker.pen import Pen

PAD_X = 6.0
PAD_Y = 4.0
SIZES = (9.2, 8.4, 7.6, 7.0)
"""Tried in this order; 7 pt is the smallest that reads well on paper. Wider tables are split by columns."""
LEADING = 1.4
TALL = 140.0
"""A row taller than this, in points, may break across pages between its lines."""
WIDEST_WORD = 130.0
"""A longer unbroken word (an address) does not claim its whole width for its column."""


@dataclass(slots=True)
class _Cell:
    spans: list[Span]
    align: str
    natural: float
    least: float


@dataclass(frozen=True)
class _Band:
    """Background and rules of one row, and its cells in order, of which some may hold nothing to draw."""

    width: float
    height: float
    fill: str
    rule: str
    thickness: float
    cells: tuple[Element, ...]

    def draw(self, pen: "Pen", x: float, y: float, element: Element) -> None:
        if element is self.cells[0].parent:
            for cell in self.cells:
                cell.place()
        if self.fill:
            pen.panel(x, y, self.width, self.height, self.fill)
        if self.rule:
            pen.rule(x, y + self.height, self.width, self.rule, self.thickness)


def table_items(node: Node, column: Column, blocks: "Blocks") -> list[Item]:
    """Lay out a table.

    Args:
        node: The table.
        column: Where.
        blocks: The document's layout, for inline text and limits.
    """
    rows = [row for section in node.children for row in section.children]
    count = len(rows[0].children) if rows else 0
    if count * len(rows) > blocks.max_cells:
        blocks.fallbacks.append(
            f"A table of {len(rows)} rows and {count} columns was set as plain text: "
            f"it has more than {blocks.max_cells} cells."
        )
        text = "\n".join(" | ".join(cell.text for cell in row.children) for row in rows)
        return literal_items(text, column, blocks.language)
    right = bool(base_level(next((cell.text for cell in rows[0].children if cell.inline), ""))) if rows else False
    # Measuring at several sizes must not use up the one printing of an address.
    printed = frozenset(blocks.context.printed)
    for size in SIZES:
        blocks.context.printed = set(printed)
        cells = _measure(rows, column, blocks, size)
        least = [max(row[index].least for row in cells) for index in range(count)]
        if sum(least) + 2 * PAD_X * count <= column.width or size == SIZES[-1]:
            break
    natural = [max(row[index].natural for row in cells) for index in range(count)]
    items: list[Item] = []
    for number, group in enumerate(_groups(least, column.width)):
        if number:
            items.append(space(12.0, column.panels))
        element = Element("Table", column.element)
        widths = _widths([natural[index] for index in group], [least[index] for index in group], column.width)
        part = [[row[index] for index in group] for row in cells]
        items.extend(_part(part, widths, column, element, blocks, right=right))
    return items


def _measure(rows: Sequence[Node], column: Column, blocks: "Blocks", size: float) -> list[list[_Cell]]:
    context = blocks.context
    context.breaks_in_cells = True
    measured = []
    for number, row in enumerate(rows):
        style = replace(column.style, size=size, font=Font(bold=number == 0))
        cells = []
        for cell in row.children:
            own = spans(cell.inline, style, context)
            align = str(cell.token.attrs.get("style", "")).removeprefix("text-align:")
            cells.append(_cell(own, align, blocks.language))
        measured.append(cells)
    context.breaks_in_cells = False
    return measured


def _cell(own: list[Span], align: str, language: str) -> _Cell:
    if not any(span.text or span.inline for span in own):
        return _Cell(own, align, 0.0, 0.0)
    natural = max(line.width for line in break_lines(own, 100_000.0, language))
    least = min(natural, WIDEST_WORD)
    words = [span for span in own if span.text]
    if words:
        least = min(natural, max((_longest(span, language) for span in words), default=natural), WIDEST_WORD)
    if any(span.inline for span in own):
        least = max(least, max(span.inline.width for span in own if span.inline))
    return _Cell(own, align, natural, least)


def _longest(span: Span, language: str) -> float:

    return max((atom.width for atom in atoms([span], language, False) if not atom.space), default=0.0)


def _groups(least: Sequence[float], width: float) -> list[list[int]]:
    """Columns of each part of a table too wide for the page; the first column stands in each part."""
    if sum(least) + 2 * PAD_X * len(least) <= width:
        return [list(range(len(least)))]
    first = min(least[0], width * 0.3) + 2 * PAD_X
    groups: list[list[int]] = []
    current, used = [0], first
    for index in range(1, len(least)):
        need = least[index] + 2 * PAD_X
        if used + need > width and len(current) > 1:
            groups.append(current)
            current, used = [0], first
        current.append(index)
        used += need
    return [*groups, current]


def _widths(natural: Sequence[float], least: Sequence[float], width: float) -> list[float]:
    """Column widths with their padding: what each wants, else a share by the root of what it wants."""
    pad = 2 * PAD_X
    room = width - pad * len(natural)
    if sum(natural) <= room:
        slack = (room - sum(natural)) / len(natural)
        return [want + pad + slack for want in natural]
    if sum(least) >= room:
        scale = max(room, 1.0) / max(sum(least), 1.0)
        return [need * scale + pad for need in least]
    extra = room - sum(least)
    shares = [max(want - need, 0.0) ** 0.6 for want, need in zip(natural, least, strict=True)]
    total = sum(shares) or 1.0
    return [need + pad + extra * share / total for need, share in zip(least, shares, strict=True)]


def _part(
    cells: list[list[_Cell]], widths: list[float], column: Column, element: Element, blocks: "Blocks", *, right: bool
) -> list[Item]:
    edges = []
    x = column.x
    for width in widths if not right else reversed(widths):
        edges.append(x)
        x += width
    if right:
        edges.reverse()
    total = sum(widths)
    # PDF/UA, 7.2: a head without a body is none; its row then stands in the table itself.
    group = Element("THead", element) if len(cells) > 1 else element
    head_items = _row(cells[0], edges, widths, total, column, group, blocks, fill=PANEL, rule=ACCENT, tag="TH")
    for item in head_items:
        item.keep = True
    head = TableHead(head_items)
    body = Element("TBody", element)
    items = list(head_items)
    for row in cells[1:]:
        own = _row(row, edges, widths, total, column, body, blocks, fill="", rule=RULE, tag="TD")
        for item in own:
            item.head = head if head.height < 250.0 else None
        items.extend(own)
    if len(cells) > 2:
        # A last row alone under a repeated head looks lost.
        items[-1].stick = items[-1].stick or items[-1].height < 60.0
    return items


def _row(
    row: list[_Cell],
    edges: list[float],
    widths: list[float],
    total: float,
    column: Column,
    group: Element,
    blocks: "Blocks",
    *,
    fill: str,
    rule: str,
    tag: str,
) -> list[Item]:
    element = Element("TR", group)
    laid: list[tuple[list[Line], float, Element]] = []
    for cell, x, width in zip(row, edges, widths, strict=True):
        own = Element(tag, element, attributes={"O": "/Table", "Scope": "/Column"} if tag == "TH" else {})
        lines = break_lines(cell.spans, width - 2 * PAD_X, blocks.language, leading=LEADING) if cell.spans else []
        room = width - 2 * PAD_X
        right = bool(base_level("".join(span.text for span in cell.spans)))
        for line in lines:
            if cell.align == "right" or (right and not cell.align):
                line.indent = room - line.width
            elif cell.align == "center":
                line.indent = (room - line.width) / 2
        laid.append((lines, x + PAD_X, own))
    cells = tuple(own for _, _, own in laid)
    height = max((sum(line.height for line in lines) for lines, _, _ in laid), default=0.0)
    thickness = 0.9 if rule == ACCENT else 0.5
    left = min(edges)
    slices = _slices([lines for lines, _, _ in laid], height)
    items: list[Item] = []
    for number, (part, part_height) in enumerate(slices):
        top = PAD_Y if number == 0 else 0.0
        bottom = PAD_Y if number == len(slices) - 1 else 0.0
        whole = top + part_height + bottom
        item = Item(whole, panels=column.panels, stick=0 < number < 2 or 0 < number == len(slices) - 1)
        item.parts.append(Part(left, 0.0, _Band(total, whole, fill, rule if bottom else "", thickness, cells), element))
        notes: list[str] = []
        for (_, x, own), lines in zip(laid, part, strict=True):
            y = top
            for line in lines:
                item.parts.append(Part(x, y, line, own))
                y += line.height
                notes.extend(key for atom in line.atoms for key in atom.notes)
        item.notes = tuple(notes)
        items.append(item)
    return items


def _slices(cells: list[list[Line]], height: float) -> list[tuple[list[list[Line]], float]]:
    """Cut a tall row into strips: two lines of its tallest cell, and what fits beside them of the others."""
    if height <= TALL:
        return [(cells, height)]
    waiting = [list(reversed(lines)) for lines in cells]
    slices = []
    while any(waiting):
        heights = [sum(line.height for line in lines) for lines in waiting]
        tallest = heights.index(max(heights))
        strip: list[list[Line]] = [[] for _ in cells]
        for _ in range(min(2, len(waiting[tallest]))):
            strip[tallest].append(waiting[tallest].pop())
        room = sum(line.height for line in strip[tallest])
        for own, lines in zip(strip, waiting, strict=True):
            used = sum(line.height for line in own)
            while lines and used + lines[-1].height <= room + 0.01:
                used += lines[-1].height
                own.append(lines.pop())
        slices.append((strip, room))
    return slices
