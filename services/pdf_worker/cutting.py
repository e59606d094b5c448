"""Cutting words that a line cannot hold: by hyphenation, after punctuation, or between letters."""

import re
from collections.abc import Iterator
from functools import lru_cache

import pyphen

from services.pdf_worker.atoms import Atom
from services.pdf_worker.shaping import Piece, shape

PARTS = re.compile("[^\\-\u2010\u2013\u2014/\\\\?&=_.,:;|@+]*(?:[\\-\u2010\u2013\u2014/\\\\?&=_.,:;|@+]+|$)")
LONG = 24
"""A word of more characters than this (an address, an identifier) may also be broken after its punctuation."""


@lru_cache(maxsize=16)
def hyphenator(language: str) -> pyphen.Pyphen | None:
    """Hyphenation patterns of a language, or `None` where there are none."""
    found = pyphen.language_fallback(language.replace("-", "_"))
    return pyphen.Pyphen(lang=found, left=3, right=3) if found else None


def hyphenate(atom: Atom, room: float, language: str, hyphens: pyphen.Pyphen) -> tuple[Atom, Piece, Atom] | None:
    """Split a word at its last hyphenation point that fits: front, hyphen, rest; `None` if there is none."""
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


def force(word: list[Atom], room: float, language: str, *, at_least_one: bool) -> tuple[list[Atom], list[Atom]]:
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
