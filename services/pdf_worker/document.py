"""A Markdown document as a PDF: the same input gives the same bytes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from services.pdf_worker.atoms import Span
from services.pdf_worker.blocks import Blocks
from services.pdf_worker.code import literal_items
from services.pdf_worker.column import Column
from services.pdf_worker.front import contents_items, title_items, written_date
from services.pdf_worker.images import Pictures
from services.pdf_worker.inline import InlineContext, plain, spans
from services.pdf_worker.items import Heading, Item, space
from services.pdf_worker.limits import DocumentError, Limits
from services.pdf_worker.lines import Line, break_lines
from services.pdf_worker.markdown import Node, clean, parse
from services.pdf_worker.maths import display_items, formula
from services.pdf_worker.metadata import write_metadata
from services.pdf_worker.model import DocumentInfo, Rendered
from services.pdf_worker.pages import BREAK, Page, draw_page, paginate
from services.pdf_worker.pen import ARTIFACT, Pen
from services.pdf_worker.sources import mark_sources
from services.pdf_worker.styles import MARGIN_BOTTOM, MARGIN_SIDE, MUTED, PAGE_SIZES, Font, Style

CONTENTS_FROM_PAGES = 4
CONTENTS_FROM_HEADINGS = 4
"""A table of contents is set from this many pages and headings on; in a shorter text it only stands in the way."""

NOTE_SIZE = 8.4

__all__ = ["DocumentInfo", "Rendered", "render"]


def render(
    markdown: str,
    info: DocumentInfo,
    *,
    on_page: Callable[[int], None] | None = None,
    images: Mapping[str, bytes] | None = None,
    limits: Limits = Limits(),  # noqa: B008 - frozen
) -> Rendered:
    """Render Markdown to PDF.

    Opens no file besides the shipped fonts and no connection, whatever the text says.

    Args:
        markdown: The text, from anybody.
        info: Title, language, paper and so on.
        on_page: Called with the number of pages drawn so far.
        images: Bytes of pictures by the address that the text uses for them; others are shown as text.
        limits: Bounds on size, nesting, pages.

    Raises:
        DocumentError: A limit was passed; the same text would fail again.
    """
    if len(markdown) > limits.characters:
        raise DocumentError(
            f"the text has {len(markdown)} characters, more than the {limits.characters} that one report may have: "
            "ask for a shorter report or split it into several"
        )
    try:
        return _Document(markdown, info, images or {}, limits).render(on_page)
    except (DocumentError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - as for a block: a report that was paid for ends as a PDF, and says so
        document = _Document("", info, {}, limits)
        document.source = clean(markdown).splitlines()
        document.blocks.fallbacks.append(
            f"The document could not be laid out ({type(error).__name__}) and was set as plain text."
        )
        return document.render(on_page, whole=True)


class _Document:
    def __init__(self, markdown: str, info: DocumentInfo, images: Mapping[str, bytes], limits: Limits) -> None:
        self.source = re.split("\r\n|\r|\n", markdown)
        self.info = replace(
            info,
            title=clean(info.title),
            subtitle=clean(info.subtitle),
            prompt=clean(info.prompt),
            model=clean(info.model),
            report_id=clean(info.report_id),
            keywords=tuple(clean(word) for word in info.keywords),
        )
        self.limits = limits
        width, height = PAGE_SIZES[info.paper]
        self.pen = Pen(width, height)
        self.column = Column(MARGIN_SIDE, width - 2 * MARGIN_SIDE, self.pen.structure.root, Style())
        self.pictures = Pictures(images, limits)
        self.root = parse(markdown)
        self.context = InlineContext(frozenset(), {}, formula, self.pictures.inline)
        self.blocks = Blocks(info.language, self.context, display_items, self.pictures.items, limits.table_cells)
        self.title = ""
        self.listed: set[str] = set()

    def render(self, on_page: Callable[[int], None] | None, *, whole: bool = False) -> Rendered:
        """Render; with `whole`, the source as it stands."""
        nodes = list(self.root.children)
        sources, addresses = mark_sources(nodes)
        self.context.sources = sources
        self.context.printed.update(addresses)
        self.listed = addresses
        cover = self._cover(nodes)
        self.blocks.heading_level = 1 if cover else 0
        body = self._literal(0, len(self.source)) if whole else self._body(nodes)
        notes = self._notes()
        pages = self._pages(cover, body, notes)
        self._draw(pages, on_page)
        write_metadata(self.pen, self.info, self.title)
        pdf = self.pen.finish(repr((self.info, "\n".join(self.source))).encode("utf-8", "surrogatepass"))
        return Rendered(pdf, len(pages), [*self.blocks.fallbacks, *self.pictures.fallbacks])

    def _cover(self, nodes: list[Node]) -> list[Item]:
        first = next((node for node in nodes if node.kind == "heading"), None)
        heading = plain(first.inline) if first is not None else ""
        own: Sequence[Span] = ()
        if self.info.title:
            own = [Span(" ".join(self.info.title.split()), Style())]
            self.title = own[0].text
        elif first is not None and heading:
            self.title = heading
        elif self.info.prompt:
            text = " ".join(self.info.prompt.split())
            self.title = text if len(text) <= 120 else text[:119].rsplit(" ", 1)[0] + "\u2026"
            own = [Span(self.title, Style())]
        if first is not None and first is nodes[0] and first.token.tag == "h1" and heading == self.title:
            own = spans(first.inline, Style(), self.context)
            del nodes[0]
        elif not own:
            # The first heading names the document, but it stands further down and is read there.
            return []
        facts = [written_date(self.info.created_at), self.info.model, self.info.report_id]
        return title_items(own, self.info.subtitle, facts, self.column, self.info.language)

    def _body(self, nodes: Sequence[Node]) -> list[Item]:
        items: list[Item] = []
        previous: Node | None = None
        for node in nodes:
            if node.token.meta.get("sources"):
                # Up to here these addresses counted as printed, since they are about to be.
                self.context.printed -= self.listed
                self.listed = set()
            own = self._safely(node)
            if own and previous is not None:
                items.append(space(self.blocks.gap(previous, node, False), keep=previous.kind == "heading"))
            if own:
                previous = node
            items.extend(own)
        return items

    def _safely(self, node: Node) -> list[Item]:
        if node.depth > self.limits.nesting:
            self.blocks.fallbacks.append(
                f"{self._where(node)} is nested more than {self.limits.nesting} levels deep and was set as plain text."
            )
            return self._plain(node)
        try:
            return self.blocks.block(node, self.column)
        except (DocumentError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a paid report always ends as a PDF; the fallback is reported
            self.blocks.fallbacks.append(
                f"{self._where(node)} could not be laid out ({type(error).__name__}) and was set as plain text."
            )
            return self._plain(node)

    def _where(self, node: Node) -> str:
        first = node.token.map[0] + 1 if node.token.map else 0
        return f"The {node.kind.replace('_', ' ')} at line {first}"

    def _plain(self, node: Node) -> list[Item]:
        return self._literal(*(node.token.map or (0, 0)))

    def _literal(self, start: int, end: int) -> list[Item]:
        return literal_items("\n".join(self.source[start:end]), self.column, self.info.language)

    def _notes(self) -> dict[str, list[Item]]:
        style = Style(Font(), NOTE_SIZE, MUTED)
        notes: dict[str, list[Item]] = {}
        for block in self.root.children:
            if block.kind != "footnote_block":
                continue
            for note in block.children:
                number = str(note.token.meta["id"] + 1)
                element_column = replace(self.column, style=style, leading=1.4)
                notes[number] = self.blocks.note(note, number, element_column)
        return notes

    def _pages(self, cover: list[Item], body: list[Item], notes: Mapping[str, list[Item]]) -> list[Page]:
        height = self.pen.height
        pages = paginate([*cover, *body], height, notes, self.limits.pages)
        numbers: dict[str, int] = {}
        headings = self.blocks.headings
        if len(pages) >= CONTENTS_FROM_PAGES and len(headings) >= CONTENTS_FROM_HEADINGS:
            contents = contents_items(
                headings, numbers, self.column, self.info.language, _contents_label(self.info.language)
            )
            pages = paginate([*cover, *contents, BREAK, *body], height, notes, self.limits.pages)
        for number, page in enumerate(pages, 1):
            for item, _ in page.items:
                if item.heading is not None:
                    numbers[item.heading.name] = number
        return pages

    def _draw(self, pages: list[Page], on_page: Callable[[int], None] | None) -> None:
        outline = _Outline(self.pen)
        for number, page in enumerate(pages, 1):
            self.pen.start_page()
            draw_page(self.pen, page, outline.item)
            self._running(number, len(pages))
            self.pen.end_page()
            # The page's items are drawn; a long document need not hold them until its end.
            page.items, page.repeated, page.notes = [], [], []
            if on_page is not None:
                on_page(number)

    def _running(self, number: int, total: int) -> None:
        style = Style(Font(), 8.0, MUTED)
        width = self.column.width
        if number > 1 and self.title:
            line = _one_line(self.title, style, width - 10.0, self.info.language)
            self.pen.line(line, MARGIN_SIDE, 42.0, ARTIFACT)
        if total > 1:
            line = _one_line(f"Page {number} of {total}", style, width, self.info.language)
            self.pen.line(line, MARGIN_SIDE + width - line.width, self.pen.height - MARGIN_BOTTOM + 30.0, ARTIFACT)


class _Outline:
    """Bookmarks and link targets, made as items are drawn."""

    def __init__(self, pen: Pen) -> None:
        self.pen = pen
        self.levels: list[int] = []

    def item(self, item: Item, y: float) -> None:
        for name in item.names:
            self.pen.target(name, y)
        if item.heading is not None:
            self._bookmark(item.heading, y)

    def _bookmark(self, heading: Heading, y: float) -> None:
        # PDF's outline has no gaps: a level 4 under a level 2 is its child.
        while self.levels and self.levels[-1] >= heading.level:
            self.levels.pop()
        self.levels.append(heading.level)
        self.pen.bookmark(heading.title, f"outline-{heading.name}", len(self.levels) - 1, y)


def _one_line(text: str, style: Style, width: float, language: str) -> Line:
    lines = break_lines([Span(text, style)], width, language)
    if len(lines) > 1:
        words = "".join(atom.text for atom in lines[0].atoms)
        return break_lines([Span(words[:-1].rstrip() + "\u2026", style)], width + 20.0, language)[0]
    return lines[0]


_CONTENTS = {
    "de": "Inhalt",
    "fr": "Sommaire",
    "es": "\u00cdndice",
    "it": "Indice",
    "pt": "\u00cdndice",
    "nl": "Inhoud",
    "ru": "\u0421\u043e\u0434\u0435\u0440\u0436\u0430\u043d\u0438\u0435",
    "el": "\u03a0\u03b5\u03c1\u03b9\u03b5\u03c7\u03cc\u03bc\u03b5\u03bd\u03b1",
    "he": "\u05ea\u05d5\u05db\u05df \u05e2\u05e0\u05d9\u05d9\u05e0\u05d9\u05dd",
    "ar": "\u0627\u0644\u0645\u062d\u062a\u0648\u064a\u0627\u062a",
    "hi": "\u0935\u093f\u0937\u092f-\u0938\u0942\u091a\u0940",
    "th": "\u0e2a\u0e32\u0e23\u0e1a\u0e31\u0e0d",
    "zh": "\u76ee\u5f55",
    "ja": "\u76ee\u6b21",
    "ko": "\ucc28\ub840",
}


def _contents_label(language: str) -> str:
    return _CONTENTS.get(language.split("-")[0].lower(), "Contents")
