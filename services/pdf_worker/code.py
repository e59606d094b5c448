"""Code blocks: Pygments colours, wrapped lines that keep their indentation."""

from collections.abc import Iterator
from functools import cache

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Error, Generic, Keyword, Literal, Name, Number, Operator, String, _TokenType
from pygments.util import ClassNotFound

from services.pdf_worker.atoms import Span
from services.pdf_worker.column import Column
from services.pdf_worker.items import Item, Panel, Part, bind
from services.pdf_worker.lines import break_lines
from services.pdf_worker.structure import Element
from services.pdf_worker.styles import INK, MUTED, PANEL, Font, Style

SIZE = 8.4
LEADING = 1.42
TAB = 4
HIGHLIGHT_UP_TO = 60_000
"""Characters of one block. Pygments' regular expressions are not all linear; longer blocks are set in one colour."""

COLORS: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "0.40 0.44 0.50"),
    (Keyword, "0.48 0.16 0.52"),
    (Operator.Word, "0.48 0.16 0.52"),
    (Name.Builtin, "0.05 0.36 0.46"),
    (Name.Function, "0.10 0.32 0.66"),
    (Name.Class, "0.10 0.32 0.66"),
    (Name.Decorator, "0.45 0.34 0.04"),
    (Name.Tag, "0.10 0.32 0.66"),
    (Name.Attribute, "0.45 0.34 0.04"),
    (String, "0.10 0.40 0.22"),
    (Number, "0.62 0.28 0.08"),
    (Literal, "0.62 0.28 0.08"),
    (Generic.Deleted, "0.66 0.14 0.14"),
    (Generic.Inserted, "0.10 0.40 0.22"),
    (Generic.Heading, "0.10 0.32 0.66"),
    (Error, INK),
)
"""Dark enough for 4.5:1 on the panel; a kind of token takes the colour of the nearest ancestor listed."""


@cache
def _color(kind: _TokenType) -> str:
    # A token type contains its descendants; its stub says that it is a plain tuple.
    return next((color for ancestor, color in COLORS if kind in ancestor), INK)  # type: ignore[comparison-overlap]


@cache
def _lexer(name: str) -> Lexer | None:
    try:
        return get_lexer_by_name(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def _colored(text: str, info: str) -> Iterator[tuple[str, str]]:
    name = info.split()[0].strip("{}.").lower() if info.split() else ""
    lexer = _lexer(name) if name and len(name) < 40 and len(text) <= HIGHLIGHT_UP_TO else None
    if lexer is None:
        yield text, INK
        return
    length = 0
    for kind, value in lexer.get_tokens(text):
        length += len(value)
        yield value, _color(kind)


def _lines(text: str, info: str) -> list[list[tuple[str, str]]]:
    """Each line as (text, colour)."""
    body = (
        text.removesuffix("\n")
        .expandtabs(TAB)
        .replace("\r", "\u240d")
        .replace("\x0b", "\u240b")
        .replace("\x0c", "\u240c")
    )
    lines: list[list[tuple[str, str]]] = [[]]
    for value, color in _colored(body, info):
        first, *rest = value.split("\n")
        if first:
            lines[-1].append((first, color))
        lines.extend([(part, color)] if part else [] for part in rest)
    return lines


def code_items(text: str, info: str, column: Column, language: str) -> list[Item]:
    """Lay out a code block.

    Args:
        text: The code.
        info: The fence's info string; its first word names the language.
        column: Where.
        language: BCP 47 tag of the document, for comments in it.
    """
    panels = (*column.panels, Panel(column.x, column.width, PANEL, radius=3.0))
    inner = column.indented(9.0, 9.0)
    element = Element("Code", column.element)
    size = min(SIZE, column.style.size * 0.88)
    items: list[Item] = []
    for number, line in enumerate(_lines(text, info)):
        styles = [Span(value, Style(Font(True), size, color)) for value, color in line]
        whole = "".join(value for value, _ in line)
        indent = len(whole) - len(whole.lstrip(" "))
        hang = min((indent + 2) * size * 0.6, inner.width * 0.5)
        set_lines = break_lines(
            styles or [Span("", Style(Font(True), size))],
            inner.width,
            language,
            leading=LEADING,
            preserve=True,
            hang=hang,
        )
        items.extend(
            Item(piece.height, [Part(inner.x, 0.0, piece, element)], panels=panels, stick=index > 0 and number == 0)
            for index, piece in enumerate(set_lines)
        )
    bind(items)
    return [Item(7.0, panels=panels, keep=True), *items, Item(7.0, panels=panels, stick=True)]


def literal_items(text: str, column: Column, language: str) -> list[Item]:
    """Set text as it stands, line by line: raw HTML, and blocks that could not be laid out."""
    element = Element("P", column.element)
    style = Style(Font(True), SIZE, MUTED)
    items: list[Item] = []
    for line in _lines(text, ""):
        value = line[0][0] if line else ""
        lines = break_lines([Span(value, style)], column.width, language, leading=LEADING, preserve=True)
        items.extend(Item(piece.height, [Part(column.x, 0.0, piece, element)], panels=column.panels) for piece in lines)
    return bind(items)
