"""Blocks of Markdown as items of the vertical list."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from markdown_it.token import Token

from services.pdf_worker.atoms import Span
from services.pdf_worker.code import code_items, literal_items
from services.pdf_worker.column import Column
from services.pdf_worker.inline import InlineContext, plain, spans
from services.pdf_worker.items import Heading, Item, Panel, Part, bind, space
from services.pdf_worker.lines import Line, break_lines
from services.pdf_worker.lists import list_items
from services.pdf_worker.markdown import Node
from services.pdf_worker.shaping import base_level
from services.pdf_worker.slugs import Slugs
from services.pdf_worker.structure import Element
from services.pdf_worker.styles import ACCENT, HEADINGS, INK, MUTED, RULE, Font, Style
from services.pdf_worker.tables import table_items

if TYPE_CHECKING:
    from services.pdf_worker.pen import Pen

ALERTS = {
    "NOTE": ("0.05 0.33 0.62", "0.945 0.965 0.988"),
    "TIP": ("0.06 0.42 0.24", "0.941 0.973 0.953"),
    "IMPORTANT": ("0.38 0.22 0.62", "0.965 0.953 0.984"),
    "WARNING": ("0.56 0.36 0.00", "0.992 0.973 0.925"),
    "CAUTION": ("0.66 0.14 0.14", "0.992 0.949 0.945"),
}
"""GitHub's five kinds: colour of bar and title, background. Each colour has a contrast above 4.5 on its background."""

GAPS = {
    "heading": 0.0,
    "paragraph": 7.0,
    "bullet_list": 7.0,
    "ordered_list": 7.0,
    "blockquote": 10.0,
    "alert": 12.0,
    "fence": 11.0,
    "code_block": 11.0,
    "html_block": 9.0,
    "table": 13.0,
    "hr": 16.0,
    "math_block": 10.0,
    "math_block_label": 10.0,
}
"""Space in points that a block wants around it; between two blocks stands the larger wish."""


@dataclass
class Blocks:
    """Lays out blocks.

    Attributes:
        language: BCP 47 tag.
        context: For inline text.
        display_formula: Sets maths on a line of its own; `None` when it cannot be set.
        picture_items: Sets a paragraph that is only pictures; `None` when it is not, or one is not held.
        max_cells: Limit of one table.
        headings: All headings met, in order.
        slugs: Names of headings.
        fallbacks: One sentence for each block set as plain text.
        heading_level: Of the last heading, for screen readers; the title block is one of level 1.
    """

    language: str
    context: InlineContext
    display_formula: Callable[[str, Column], list[Item] | None]
    picture_items: Callable[[Sequence[Token], Column], list[Item] | None]
    max_cells: int
    headings: list[Heading] = field(default_factory=list)
    slugs: Slugs = field(default_factory=Slugs)
    fallbacks: list[str] = field(default_factory=list)
    heading_level: int = 0

    def blocks(self, nodes: Sequence[Node], column: Column, *, tight: bool = False) -> list[Item]:
        """Lay out blocks one below the other."""
        items: list[Item] = []
        previous: Node | None = None
        for node in nodes:
            own = self.block(node, column)
            if not own:
                continue
            if previous is not None:
                gap = self.gap(previous, node, tight)
                items.append(space(gap, column.panels, keep=previous.kind == "heading"))
            items.extend(own)
            previous = node
        return items

    @staticmethod
    def gap(above: Node, below: Node, tight: bool) -> float:
        """Space in points between two blocks."""
        if below.kind == "heading":
            size = HEADINGS[int(below.token.tag[1])]
            return size[1] * (0.5 if above.kind == "heading" else 1.0)
        if above.kind == "heading":
            return HEADINGS[int(above.token.tag[1])][2]
        if (
            tight
            and above.kind in ("paragraph", "bullet_list", "ordered_list")
            and below.kind in ("paragraph", "bullet_list", "ordered_list")
        ):
            return 2.5
        return max(GAPS.get(above.kind, 7.0), GAPS.get(below.kind, 7.0))

    def block(self, node: Node, column: Column) -> list[Item]:
        """Lay out one block."""
        match node.kind:
            case "paragraph" | "alert_title":
                alone = self._alone(node.inline, column)
                return alone if alone is not None else self.paragraph(node.inline, column)
            case "heading":
                return self.heading(node, column)
            case "bullet_list" | "ordered_list":
                return list_items(node, column, self)
            case "blockquote":
                return self.quote(node, column)
            case "alert":
                return self.alert(node, column)
            case "fence" | "code_block":
                return code_items(node.token.content, node.token.info, column, self.language)
            case "html_block":
                return literal_items(node.token.content, column, self.language)
            case "hr":
                return [Item(1.0, [Part(column.x, 0.5, _Rule(column.width), column.element)], panels=column.panels)]
            case "table":
                return table_items(node, column, self)
            case "math_block" | "math_block_label" | "amsmath":
                formula = self.display_formula(node.token.content, column)
                return (
                    formula
                    if formula is not None
                    else literal_items(f"$$\n{node.token.content.strip()}\n$$", column, self.language)
                )
            case "footnote_block":
                return []
            case _:
                return self.blocks(node.children, column) + (self.paragraph(node.inline, column) if node.inline else [])

    def _alone(self, tokens: Sequence[Token], column: Column) -> list[Item] | None:
        """Set a paragraph that is nothing but pictures or one displayed formula."""
        if len(tokens) == 1 and tokens[0].type == "math_inline_double":
            return self.display_formula(tokens[0].content, column)
        return self.picture_items(tokens, column)

    def paragraph(
        self, tokens: Sequence[Token], column: Column, *, tag: str = "P", leading: float | None = None
    ) -> list[Item]:
        """Lay out running text."""
        own = spans(tokens, column.style, self.context)
        return self.text(own, column, Element(tag, column.element), leading=leading or column.leading)

    def text(self, own: Sequence[Span], column: Column, element: Element, *, leading: float) -> list[Item]:
        """Lay out spans as bound lines."""
        if not own or not (
            any(span.inline for span in own) or any(not span.text.isspace() for span in own if span.text)
        ):
            return []
        lines = break_lines(own, column.width, self.language, leading=leading)
        align_start(lines, own, column.width)
        items = [
            Item(
                line.height,
                [Part(column.x, 0.0, line, element)],
                panels=column.panels,
                notes=tuple(key for atom in line.atoms for key in atom.notes),
            )
            for line in lines
        ]
        return bind(items)

    def heading(self, node: Node, column: Column) -> list[Item]:
        """Lay out a heading; it stays with what follows."""
        level = int(node.token.tag[1])
        size, _, _, color = HEADINGS[level]
        style = Style(Font(bold=level != 6, italic=level == 6), size, color)
        items = self.paragraph(
            node.inline, replace(column, style=style), tag=f"H{self._structural(level)}", leading=1.25
        )
        if not items:
            return []
        title = plain(node.inline) or "\u2013"
        heading = Heading(level, title, self.slugs.name(title))
        if not column.panels and not column.depth:
            self.headings.append(heading)
            items[0].heading = heading
        items[0].names = (heading.name,)
        for item in items:
            item.keep = True
        return items

    def _structural(self, level: int) -> int:
        """The level for screen readers, who are told of no level that has none above it (PDF/UA, 7.4.2)."""
        self.heading_level = min(level, self.heading_level + 1)
        return self.heading_level

    def note(self, node: Node, number: str, column: Column) -> list[Item]:
        """Lay out a footnote, its number hanging before it."""
        element = Element("Note", column.element, identifier=f"note-{number}")
        inner = replace(column.indented(16.0), element=element)
        items = self.blocks(node.children, inner, tight=True)
        line = break_lines([Span(number, replace(column.style, color=ACCENT))], 40.0, "en", leading=column.leading)[0]
        if not items:
            items = [Item(line.height)]
        items[0].parts.insert(0, Part(column.x, 0.0, line, Element("Lbl", element)))
        items[0].names = (*items[0].names, f"note-{number}")
        return items

    def quote(self, node: Node, column: Column) -> list[Item]:
        """Lay out a block quote: a bar at the side, quieter text."""
        right = bool(base_level(node.first_text))
        panel = Panel(column.x, column.width, bar=RULE, right=right)
        inner = column.indented(0.0 if right else 14.0, 14.0 if right else 0.0)
        style = replace(column.style, color=MUTED if column.style.color == INK else column.style.color)
        element = Element("BlockQuote", column.element)
        return self.blocks(node.children, replace(inner, panels=(*column.panels, panel), style=style, element=element))

    def alert(self, node: Node, column: Column) -> list[Item]:
        """Lay out an admonition: a tinted panel with a coloured title."""
        color, fill = ALERTS.get(str(node.token.meta.get("kind", "NOTE")).upper(), ALERTS["NOTE"])
        right = bool(base_level(Node("", node.token, node.children[1:]).first_text))
        panels = (*column.panels, Panel(column.x, column.width, fill, color, right))
        inner = replace(column.indented(14.0, 12.0), panels=panels, element=Element("Sect", column.element))
        items: list[Item] = [Item(8.0, panels=panels, keep=True)]
        for child in node.children:
            if child.kind == "alert_title":
                title = replace(
                    inner, style=replace(column.style, font=Font(bold=True), color=color, size=column.style.size * 0.95)
                )
                heading = self.paragraph(child.inline, title)
                for item in heading:
                    item.keep = True
                    if right and isinstance(item.parts[0].thing, Line):
                        item.parts[0].thing.indent = title.width - item.parts[0].thing.width
                items += [*heading, Item(2.0, panels=panels, keep=True)]
        items += self.blocks([child for child in node.children if child.kind != "alert_title"], inner)
        return [*items, Item(9.0, panels=panels, stick=True)]


def align_start(lines: Sequence[Line], own: Sequence[Span], width: float) -> None:
    """Set a right-to-left paragraph against the right edge."""
    if base_level("".join(span.text for span in own)):
        for line in lines:
            line.indent = width - line.width


@dataclass(frozen=True)
class _Rule:
    width: float

    def draw(self, pen: "Pen", x: float, y: float, element: Element) -> None:  # noqa: ARG002 - a rule is no content
        pen.rule(x, y, self.width, RULE, 0.8)
