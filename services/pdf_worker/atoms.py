"""Cutting text into what a line may end between: words, ideographs, syllables, inline objects."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from services.pdf_worker.shaping import Piece, levels, shape
from services.pdf_worker.styles import Style
from services.pdf_worker.thai import syllables

if TYPE_CHECKING:
    from services.pdf_worker.pen import Pen
    from services.pdf_worker.structure import Element

SPACE = " \t\u1680\u2000-\u2006\u2008-\u200a\u200b\u205f\u3000"
"""Where a line may end and the space vanish; no-break spaces are not in it."""

_CJK = (
    "\u1100-\u11ff\u2e80-\u2fdf\u3001-\u30ff\u3100-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f"
    "\uff01-\uffef\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
_NOT_FIRST = (
    "\u3001\u3002\uff0c\uff0e\uff1a\uff1b\uff1f\uff01\u300d\u300f\u3011\u3015\u3009\u300b\uff09\uff3d\uff5d\u30fb\u30fc"
    "\u3005\u3041\u3043\u3045\u3047\u3049\u3063\u3083\u3085\u3087\u30a1\u30a3\u30a5\u30a7\u30a9\u30c3\u30e3\u30e5\u30e7"
    "\u2019\u201d.,:;!?)\\]}%"
)
_NOT_LAST = "\u300c\u300e\u3010\u3014\u3008\u300a\uff08\uff3b\uff5b\u2018\u201c(\\[{"
_JOIN = "\ufe00-\ufe0f\u200d\u20e3\U0001f3fb-\U0001f3ff\U000e0000-\U000e007f"
_THAI = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"

ATOMS = re.compile(
    f"[{SPACE}]+"
    f"|[{_NOT_LAST}]*(?:[\U0001f1e6-\U0001f1ff]{{2}}|[{_CJK}](?:[{_JOIN}]|(?<=\u200d).|\u0300-\u036f)*)[{_NOT_FIRST}]*"
    f"|[{_THAI}]+"
    f"|[^{SPACE}{_CJK}{_THAI}]+"
)
"""Spaces, one ideograph with the punctuation bound to it (kinsoku), Thai-like scripts, or a word."""

HYPHENATED = re.compile("(?<=[^\\W\\d_][\\-\u2010\u2013\u2014/])(?=[^\\W_])|(?<=[\u2014])")
"""After a hyphen or slash between letters, or a dash, a line may end as well."""

CHUNKS = re.compile("(?s).{1,160}[\u0300-\u036f]{0,40}")
"""No word is shaped in longer parts than this, so that a megabyte without a space costs time in proportion."""

_thai_like = re.compile(f"[{_THAI}]")


class Inline(Protocol):
    """Something that stands in a line like a word: a formula, a picture. Lengths in points."""

    @property
    def width(self) -> float:
        """Advance width."""

    @property
    def ascent(self) -> float:
        """Above the baseline."""

    @property
    def descent(self) -> float:
        """Below the baseline."""

    def draw(self, pen: "Pen", x: float, y: float, element: "Element") -> None:
        """Draw with the left end of the baseline at (x, y)."""


@dataclass(frozen=True)
class Span:
    """A run of text in one style, or one inline object.

    Attributes:
        text: The text; a line feed ends the line.
        style: Its look.
        inline: The object standing there instead of text.
        notes: Keys of the footnotes that are called here.
    """

    text: str
    style: Style
    inline: Inline | None = None
    notes: tuple[str, ...] = ()


class Atom:
    """What is never broken, unless it is wider than a whole line."""

    __slots__ = ("breaks", "inline", "notes", "pieces", "space", "style", "text", "width")

    def __init__(self, text: str, style: Style, pieces: tuple[Piece, ...], space: bool, breaks: bool) -> None:
        self.text = text
        self.style = style
        self.pieces = pieces
        self.width = (
            sum(piece.width for piece in pieces) * style.size / 1000
            if len(pieces) != 1
            else pieces[0].width * style.size / 1000
        )
        self.space = space
        self.breaks = breaks
        self.inline: Inline | None = None
        self.notes: tuple[str, ...] = ()


def atoms(spans: Sequence[Span], language: str, preserve: bool) -> Iterator[Atom]:
    """Cut spans into what a line may end between, shaped and measured."""
    text = "".join(span.text for span in spans)
    by_char = levels(text)
    offset = 0
    for index, span in enumerate(spans):
        if span.inline is not None:
            atom = Atom("", span.style, (), False, False)
            atom.inline, atom.width, atom.notes = span.inline, span.inline.width, span.notes
            offset += len(span.text)
            # An object binds to a word that touches it, as in "$n$-th" or "($x$)".
            after = spans[index + 1].text[:1] if index + 1 < len(spans) else ""
            atom.breaks = after.isspace()
            yield atom
            continue
        last: Atom | None = None
        for word, space, breaks in _words(span.text, preserve):
            if last is not None:
                yield last
            last = _atom(word, span.style, space, breaks, language, by_char, offset)
            offset += len(word)
        if last is not None:
            last.notes = span.notes
            if last.breaks and not last.space and index + 1 < len(spans) and not _THAI_OR_CJK.match(last.text[-1:]):
                # A change of style inside a word is no place for a line to end.
                last.breaks = spans[index + 1].text[:1].isspace() or bool(HYPHENATED.search(last.text + "x"))
            yield last


def bound(atoms: list[Atom]) -> list[Atom]:
    """Bind a superscript citation to the word before it, over the space that many writers put between them."""
    for word, gap, raised in zip(atoms, atoms[1:], atoms[2:], strict=False):
        if raised.style.rise and gap.space and gap.text != "\n" and not word.space:
            gap.space = gap.breaks = word.breaks = False
    return atoms


_THAI_OR_CJK = re.compile(f"[{_CJK}{_THAI}]")


def _words(text: str, preserve: bool) -> Iterator[tuple[str, bool, bool]]:
    """Split into (text, is space, a line may end after it)."""
    for paragraph in re.split("(\n)", text):
        if paragraph == "\n":
            yield "\n", True, True
            continue
        if preserve:
            for word in re.findall(r" +|\w{1,160}|[^\w ]", paragraph):
                yield word, word[0] == " ", True
            continue
        for word in ATOMS.findall(paragraph):
            if word[0] in SPACES:
                yield word, True, True
            elif _thai_like.match(word):
                for part in syllables(word):
                    yield part, False, True
            else:
                for part in HYPHENATED.split(word):
                    yield from ((piece, False, True) for piece in CHUNKS.findall(part))


SPACES = frozenset(" \t\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u200b\u205f\u3000")


def _atom(
    word: str, style: Style, space: bool, breaks: bool, language: str, by_char: list[int] | None, offset: int
) -> Atom:
    if word == "\n":
        return Atom(word, style, (), True, True)
    if by_char is None:
        return Atom(word, style, shape(word, style.font, language), space, breaks)
    pieces: list[Piece] = []
    start = 0
    own = by_char[offset : offset + len(word)]
    for index in range(1, len(word) + 1):
        if index == len(word) or own[index] != own[start]:
            pieces.extend(shape(word[start:index], style.font, language, own[start]))
            start = index
    return Atom(word, style, tuple(pieces), space, breaks)
