"""Lists: bullets, numbers and checkboxes hang beside their items."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from services.pdf_worker.atoms import Span
from services.pdf_worker.column import Column
from services.pdf_worker.items import Item, Part, space
from services.pdf_worker.lines import Line, break_lines
from services.pdf_worker.markdown import Node
from services.pdf_worker.shaping import base_level
from services.pdf_worker.structure import Element
from services.pdf_worker.styles import ACCENT, MUTED, Font, Style

if TYPE_CHECKING:
    from services.pdf_worker.blocks import Blocks
    from services.pdf_worker.pen import Pen

LIST_INDENT = 18.0
BULLETS = "\u2022\u25e6\u2013"


def list_items(node: Node, column: Column, blocks: "Blocks") -> list[Item]:
    """Lay out a list.

    Args:
        node: The list.
        column: Where.
        blocks: The document's layout, for what the items hold.
    """
    ordered = node.kind == "ordered_list"
    start = int(node.token.attrs.get("start", 1)) if ordered else 0
    element = Element(
        "L", column.element, attributes={"O": "/List", "ListNumbering": "/Decimal" if ordered else "/Disc"}
    )
    labels = [
        f"{start + index}." if ordered else BULLETS[column.depth % len(BULLETS)] for index in range(len(node.children))
    ]
    color = MUTED if ordered else ACCENT
    label_style = replace(column.style, color=color, link="", rise=0.0, panel="", font=Font())
    widest = (
        max((break_lines([Span(label, label_style)], 500.0, "en")[0].width for label in labels), default=0.0)
        if ordered
        else 0.0
    )
    indent = max(LIST_INDENT, widest + 7.0)
    right = bool(base_level(node.first_text))
    inner = column.indented(0.0 if right else indent, indent if right else 0.0)
    tight = all(child.token.hidden for item in node.children for child in item.children if child.kind == "paragraph")
    items: list[Item] = []
    for index, (child, label) in enumerate(zip(node.children, labels, strict=True)):
        entry = Element("LI", element)
        mark = Element("Lbl", entry)
        body = Element("LBody", entry)
        own = blocks.blocks(child.children, replace(inner, element=body, depth=column.depth + 1), tight=tight)
        own = _labelled(own, child, label, label_style, mark, column, inner, right)
        name = child.token.meta.get("source") if child.token.meta else None
        if name:
            own[0].names = (*own[0].names, f"source-{name}")
        if index:
            simple = tight and len(node.children[index - 1].children) <= 1
            items.append(space(2.5 if simple else 6.0, column.panels))
        items.extend(own)
    return items


def _labelled(
    own: list[Item],
    node: Node,
    label: str,
    style: Style,
    mark: Element,
    column: Column,
    inner: Column,
    right: bool,
) -> list[Item]:
    checked = node.token.meta.get("checked") if node.token.meta else None
    line = break_lines([Span(label, style)], 500.0, "en", leading=column.leading)[0]
    if not own:
        own = [Item(line.height, panels=column.panels)]
    first = own[0]
    if checked is not None:
        x = inner.x + inner.width + 6.0 if right else inner.x - 15.0
        first.parts.insert(0, Part(x, 0.0, _Checkbox(bool(checked), style.size, line.baseline), mark))
        return own
    shift = 0.0
    if first.parts and isinstance(first.parts[0].thing, Line):
        shift = first.parts[0].thing.baseline - line.baseline
    # A label wider than a squeezed indent would run into the text: it then hangs out to the left.
    x = inner.x + inner.width + 6.0 if right else inner.x - 6.0 - line.width
    first.parts.insert(0, Part(x, first.parts[0].y + shift if first.parts else 0.0, line, mark))
    return own


@dataclass(frozen=True)
class _Checkbox:
    checked: bool
    size: float
    baseline: float

    def draw(self, pen: "Pen", x: float, y: float, element: Element) -> None:
        side = self.size * 0.82
        bottom = pen.height - y - self.baseline - side * 0.08
        box = f"{x:.2f} {bottom:.2f} {side:.2f} {side:.2f} re"
        if self.checked:
            points = ((0.22, 0.5), (0.42, 0.28), (0.8, 0.74))
            (a, b), (c, d), (e, f) = ((x + side * right, bottom + side * up) for right, up in points)
            tick = f"{a:.2f} {b:.2f} m {c:.2f} {d:.2f} l {e:.2f} {f:.2f} l S"
            pen.literal(f"q {ACCENT} rg {box} f 1 1 1 RG 1.1 w 1 J 1 j {tick} Q", element)
        else:
            pen.literal(f"q {MUTED} RG 0.8 w {box} S Q", element)
        element.alt = "done" if self.checked else "to do"
