"""Breaking runs of text into lines.

Lines are set ragged right (ragged left in right-to-left paragraphs): justified text on a narrow measure tears holes
between words, and nobody is there to mend them by hand.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import pyphen

from services.pdf_worker.shaping import Piece, levels, shape
from services.pdf_worker.styles import LEADING, Style
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

PARTS = re.compile("[^\\-\u2010\u2013\u2014/\\\\?&=_.,:;|@+]*(?:[\\-\u2010\u2013\u2014/\\\\?&=_.,:;|@+]+|$)")
HYPHENATED = re.compile("(?<=[^\\W\\d_][\\-\u2010\u2013\u2014/])(?=[^\\W_])|(?<=[\u2014])")
"""After a hyphen or slash between letters, or a dash, a line may end as well."""

LONG = 24
"""A word of more characters than this (an address, an identifier) may also be broken after its punctuation."""

CHUNKS = re.compile("(?s).{1,160}[\u0300-\u036f]{0,40}")
"""No word is shaped in longer parts than this, so that a megabyte without a space costs time in proportion."""

HYPHENATE_FROM = 0.16
"""A word is hyphenated only if the line would otherwise be left this part of the measure short."""

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


@dataclass(slots=True)
class Line:
    """One line of text, ready to be drawn.

    Attributes:
        atoms: In logical order, without the space at the end.
        width: Of the atoms.
        indent: From the left edge of the column.
        height: From this line's top to the next one's.
        baseline: From the top to the baseline.
        hyphen: A hyphen is drawn at the end.
        last: Nothing follows in the paragraph, or a forced break.
    """

    atoms: list[Atom]
    width: float
    indent: float
    height: float
    baseline: float
    hyphen: Piece | None = None
    last: bool = False


@lru_cache(maxsize=16)
def hyphenator(language: str) -> pyphen.Pyphen | None:
    """Hyphenation patterns of a language, or `None` where there are none."""
    found = pyphen.language_fallback(language.replace("-", "_"))
    return pyphen.Pyphen(lang=found, left=3, right=3) if found else None


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


def _bound(atoms: list[Atom]) -> list[Atom]:
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


def break_lines(
    spans: Sequence[Span],
    width: float,
    language: str,
    *,
    leading: float = LEADING,
    preserve: bool = False,
    hang: float = 0.0,
) -> list[Line]:
    """Set spans as lines no wider than `width`.

    Args:
        spans: The paragraph.
        width: Of the column, in points.
        language: BCP 47 tag, for hyphenation and letter forms.
        leading: Line height over font size.
        preserve: Keep every space, as in code, and break anywhere between words.
        hang: Indent of all lines but the first, in points.
    """
    lines: list[Line] = []
    current: list[Atom] = []
    used = 0.0
    limit = width
    hyphens = None if preserve else hyphenator(language)

    def finish(last: bool, hyphen: Piece | None = None) -> None:
        nonlocal current, used, limit
        if not preserve:
            while current and current[-1].space:
                used -= current.pop().width
        lines.append(_line(current, used, width - limit, leading, spans, hyphen, last))
        current, used, limit = [], 0.0, width - hang

    pending: list[Atom] = []
    for atom in _bound(list(atoms(spans, language, preserve))):
        if atom.text == "\n" and atom.space:
            current.extend(pending)
            used += sum(one.width for one in pending)
            pending = []
            finish(last=True)
            continue
        pending.append(atom)
        if not (atom.space or atom.breaks):
            continue
        word, pending = pending, []
        need = atom.width if len(word) == 1 else sum(one.width for one in word)
        if atom.space and len(word) == 1:
            if current or preserve:
                current.append(atom)
                used += need
            continue
        while used + need > limit + 0.01:
            head = None
            if hyphens is not None and len(word) == 1 and limit - used > HYPHENATE_FROM * limit:
                head = _hyphenate(word[0], limit - used, language, hyphens)
            if head is not None:
                front, hyphen, rest = head
                current.append(front)
                used += front.width
                finish(last=False, hyphen=hyphen)
                word, need = [rest], rest.width
            elif current and (need <= width - hang or limit - used < 0.25 * limit):
                finish(last=False)
            else:
                fits, rest_word = _force(word, limit - used, language, at_least_one=not current)
                current.extend(fits)
                used += sum(one.width for one in fits)
                if not rest_word:
                    word, need = [], 0.0
                    break
                finish(last=False)
                word, need = rest_word, sum(one.width for one in rest_word)
        current.extend(word)
        used += need
    current.extend(pending)
    used += sum(one.width for one in pending)
    while used > limit + 0.01 and pending:
        # The last word has no break after it (an object, a run of styles): it gets a line of its own, cut if need be.
        del current[len(current) - len(pending) :]
        used -= sum(one.width for one in pending)
        if current:
            finish(last=False)
        fits, pending = _force(pending, limit, language, at_least_one=True)
        current.extend(fits)
        used += sum(one.width for one in fits)
        if pending:
            finish(last=False)
            current.extend(pending)
            used += sum(one.width for one in pending)
    finish(last=True)
    return lines


def _line(
    atoms: list[Atom],
    used: float,
    indent: float,
    leading: float,
    spans: Sequence[Span],
    hyphen: Piece | None,
    last: bool,
) -> Line:
    size = max(
        (atom.style.size for atom in atoms if not atom.style.rise), default=spans[0].style.size if spans else 0.0
    )
    height = size * leading
    baseline = (height + 0.72 * size) / 2
    for atom in atoms:
        if atom.inline is not None:
            up = atom.inline.ascent + 0.15 * size - baseline
            if up > 0:
                height += up
                baseline += up
            height = max(height, baseline + atom.inline.descent + 0.15 * size)
    if hyphen is not None:
        used += hyphen.width * atoms[-1].style.size / 1000
    return Line(atoms, used, indent, height, baseline, hyphen, last)


def _hyphenate(atom: Atom, room: float, language: str, hyphens: pyphen.Pyphen) -> tuple[Atom, Piece, Atom] | None:
    if (
        atom.inline is not None
        or atom.notes
        or atom.style.font.mono
        or atom.style.link.startswith("http")
        or not 6 <= len(atom.text) <= 60
    ):
        return None
    core = atom.text.strip("\u201c\u201d\u2018\u2019\"'()[],.;:!?*\u00bb\u00ab")
    if not core.isalpha() or len(core) < 6 or any(piece.level for piece in atom.pieces):
        return None
    start = atom.text.index(core)
    hyphen = shape("-", atom.style.font, language)[0]
    available = room - hyphen.width * atom.style.size / 1000
    for position in reversed(hyphens.positions(core)):
        cut = start + position
        front = Atom(atom.text[:cut], atom.style, shape(atom.text[:cut], atom.style.font, language), False, True)
        if front.width <= available:
            text = atom.text[cut:]
            return front, hyphen, Atom(text, atom.style, shape(text, atom.style.font, language), False, True)
    return None


def _force(word: list[Atom], room: float, language: str, *, at_least_one: bool) -> tuple[list[Atom], list[Atom]]:
    """Cut a word that no line can hold: after punctuation if there is some, else between glyph clusters."""
    fits: list[Atom] = []
    for index, atom in enumerate(word):
        if atom.width <= room:
            fits.append(atom)
            room -= atom.width
            continue
        if atom.inline is not None:
            if at_least_one and not fits:
                return [atom], word[index + 1 :]
            return fits, word[index:]
        cut = _cut(atom, room)
        if cut == 0 and at_least_one and not fits:
            cut = _first_cluster(atom)
        if cut == 0:
            return fits, word[index:]
        level = atom.pieces[0].level if atom.pieces else 0
        front = Atom(atom.text[:cut], atom.style, shape(atom.text[:cut], atom.style.font, language, level), False, True)
        rest: list[Atom] = []
        if atom.text[cut:]:
            rest = [
                Atom(
                    atom.text[cut:],
                    atom.style,
                    shape(atom.text[cut:], atom.style.font, language, level),
                    False,
                    atom.breaks,
                )
            ]
            rest[0].notes = atom.notes
        else:
            front.notes = atom.notes
        return [*fits, front], [*rest, *word[index + 1 :]]
    return fits, []


def _clusters(atom: Atom) -> Iterator[tuple[int, float]]:
    """Each cluster in logical order: (number of characters, width in points)."""
    for piece in atom.pieces:
        glyphs = piece.glyphs if piece.level % 2 == 0 else piece.glyphs[::-1]
        length, width = 0, 0.0
        for glyph in glyphs:
            if glyph.text and length:
                yield length, width * atom.style.size / 1000
                length, width = 0, 0.0
            length += len(glyph.text)
            width += glyph.advance
        if length:
            yield length, width * atom.style.size / 1000


def _first_cluster(atom: Atom) -> int:
    return next((length for length, _ in _clusters(atom)), len(atom.text)) or len(atom.text)


def _cut(atom: Atom, room: float) -> int:
    """How many characters fit; rather after punctuation when that costs less than a third of the room."""
    total, count = 0.0, 0
    for length, width in _clusters(atom):
        if total + width > room:
            break
        total += width
        count += length
    if len(atom.text) > LONG:
        nice = 0
        for match in PARTS.finditer(atom.text, 0, count):
            if match.end() < count or atom.text[count - 1 : count] in "/-?&=_.,:;|@+":
                nice = match.end()
            if match.end() >= count:
                break
        if nice > 2 * count / 3:
            return nice
    return count
