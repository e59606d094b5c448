"""From text to glyphs: font runs, HarfBuzz shaping, bidirectional levels."""

import re
import unicodedata
from typing import NamedTuple

import uharfbuzz as hb
from bidi import algorithm

from services.pdf_worker.fonts import EMOJI_PRESENTATION, Face, covering, primary
from services.pdf_worker.styles import Font

RTL = re.compile(
    "[\u0590-\u08ff\u200f\u202b\u202e\u2067\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
"""Text without any of these needs no bidirectional algorithm."""

RTL_MARKS = "".join(
    chr(code)
    for start, end in ((0x0591, 0x05C7), (0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670), (0x06D6, 0x06ED))
    for code in range(start, end + 1)
    if unicodedata.combining(chr(code))
)
"""Points and vowel signs of Hebrew and Arabic."""

ISOLATES = ("LRI", "RLI", "FSI", "PDI")
"""Newer than the library's algorithm, which has no rule for them: taken as neutral signs."""

STAND_IN = "\ufffd"
FEATURES = {True: {"liga": False, "calt": False, "clig": False}, False: {}}
"""JetBrains Mono turns `!=` into one sign; code is shown as it was written."""

CACHED_LENGTH = 40
"""Longer words hardly come twice."""

CACHE_SIZE = 60_000
"""Shaped words kept in one process, about 30 MB at most. Cleared when full, which costs a few milliseconds."""


class Glyph(NamedTuple):
    """One glyph that moves the pen; lengths in 1/1000 em.

    Attributes:
        gid: Glyph in the font file.
        text: The characters it stands for; empty for the later glyphs of a cluster.
        advance: To the next glyph.
        dx: Shift to the right, of this glyph alone.
        dy: Shift upwards, of this glyph alone.
        span: Glyphs that stand for `text` together, this one first.
    """

    gid: int
    text: str
    advance: float
    dx: float = 0.0
    dy: float = 0.0
    span: int = 1


class Mark(NamedTuple):
    """A glyph drawn over others, such as a vowel sign or the dots of a letter, at its place in the piece."""

    gid: int
    x: float
    y: float


class Piece(NamedTuple):
    """Glyphs of one face and one direction, in the order they are drawn, left to right.

    A mark's text belongs to the glyph that it stands over. Readers take a step back of the pen for a new word, so
    marks are drawn after the rest and stand for nothing of their own.

    Attributes:
        face: The face of all glyphs.
        glyphs: Left to right.
        marks: Drawn over them.
        width: Sum of the advances in 1/1000 em.
        level: Bidirectional embedding level; odd is right to left.
    """

    face: Face
    glyphs: tuple[Glyph, ...]
    marks: tuple[Mark, ...]
    width: float
    level: int


_cache: dict[tuple[str, Font, str], tuple[Piece, ...]] = {}


def levels(text: str) -> list[int] | None:
    """Embedding level of each character, or `None` for text that is left to right throughout.

    The paragraph's direction is that of its first strong character (rule P2 of Unicode's annex 9).
    """
    if not RTL.search(text):
        return None
    storage = algorithm.get_empty_storage()
    base = algorithm.get_base_level(text)
    storage["base_level"], storage["base_dir"] = base, ("L", "R")[base]
    algorithm.get_embedding_levels(text, storage)
    for index, char in enumerate(storage["chars"]):
        char["index"] = index
        if char["type"] in ISOLATES:
            char["type"] = "ON"
        elif not char["type"]:
            # Not assigned in Python's Unicode version: by its block (annex 9, 3.2).
            char["type"] = "R" if RTL.match(char["ch"]) else "L"
    algorithm.explicit_embed_and_overrides(storage)
    algorithm.resolve_weak_types(storage)
    algorithm.resolve_neutral_types(storage, False)
    algorithm.resolve_implicit_levels(storage, False)
    found = [base] * len(text)
    # The algorithm drops explicit marks (rule X9); here they keep the paragraph's level, and nothing is drawn.
    for char in storage["chars"]:
        found[char["index"]] = char["level"]
    return found


def base_level(text: str) -> int:
    """1 if the text's first strong character is right to left, else 0."""
    return algorithm.get_base_level(text) if RTL.search(text) else 0


def shape(text: str, font: Font, language: str, level: int = 0) -> tuple[Piece, ...]:
    """Shape text of one direction.

    Args:
        text: No line breaks; one word, or spaces.
        font: The font asked for.
        language: BCP 47 tag; HarfBuzz picks local letter forms by it.
        level: Embedding level of the text.
    """
    key = (text, font, language) if not level else (text, font, f"{level}/{language}")
    found = _cache.get(key)
    if found is None:
        if len(_cache) >= CACHE_SIZE:
            _cache.clear()
        runs = [_shape_run(face, run, font, language, level) for face, run in _font_runs(text, font)]
        found = tuple(runs)
        if len(text) <= CACHED_LENGTH:
            _cache[key] = found
    return found


def _font_runs(text: str, font: Font) -> list[tuple[Face | None, str]]:
    main = primary(font)
    if text.isascii() and text.isprintable():
        return [(main, text)]
    runs: list[tuple[Face | None, str]] = []
    for index, char in enumerate(text):
        category = unicodedata.category(char)
        if runs and (category == "Cf" or 0xFE00 <= ord(char) <= EMOJI_PRESENTATION):
            runs[-1] = (runs[-1][0], runs[-1][1] + char)
            continue
        if category in ("Cc", "Cs", "Co", "Cn"):
            chosen = None
        elif runs and category[0] == "M" and runs[-1][0] is not None and char in runs[-1][0]:
            chosen = runs[-1][0]
        else:
            chosen = covering(font, char, text[index + 1 : index + 2] == chr(EMOJI_PRESENTATION))
            if chosen is None and category == "Cf":
                chosen = main
        if runs and runs[-1][0] is chosen:
            runs[-1] = (chosen, runs[-1][1] + char)
        else:
            runs.append((chosen, char))
    return runs


def _shape_run(face: Face | None, text: str, font: Font, language: str, level: int) -> Piece:
    if face is None:
        return _stand_in(text, font, level)
    buffer = hb.Buffer()
    buffer.add_str(text)
    buffer.cluster_level = hb.BufferClusterLevel.MONOTONE_CHARACTERS
    buffer.direction = "rtl" if level % 2 else "ltr"
    buffer.language = language
    buffer.guess_segment_properties()
    hb.shape(face.font, buffer, FEATURES[font.mono])
    return _piece(face, text, list(zip(buffer.glyph_infos, buffer.glyph_positions, strict=True)), level)


def _piece(face: Face, text: str, shaped: list[tuple[hb.GlyphInfo, hb.GlyphPosition]], level: int) -> Piece:
    scale = face.scale
    groups = _clusters([(info.cluster, bool(position.x_advance)) for info, position in shaped], len(text))
    glyphs: list[Glyph] = []
    marks: list[Mark] = []
    x = 0.0
    # The combining grapheme joiner is the glyph without width or ink that both Hebrew and Arabic fonts have.
    empty = face.font.get_nominal_glyph(0x034F) if level % 2 else None
    for first, last, start, end in groups:
        own: list[Glyph] = []
        for info, position in shaped[first:last]:
            advance, dx, dy = position.x_advance * scale, position.x_offset * scale, position.y_offset * scale
            if advance or last - first == 1:
                own.append(Glyph(info.codepoint, "", advance, dx, dy))
            else:
                marks.append(Mark(info.codepoint, x + dx, dy))
            x += advance
        if not own:
            kept = marks.pop()
            own.append(Glyph(kept.gid, "", 0.0, kept.x - x, kept.y))
        covers = text[start:end]
        if empty is not None and len(own) == 1:
            letters = covers.rstrip(RTL_MARKS)
            glyphs.extend(_carrier(empty, char) for char in covers[len(letters) :][::-1] if letters)
            covers = letters or covers
        own[0] = own[0]._replace(text=covers, span=len(own))
        glyphs.extend(own)
    return Piece(face, tuple(glyphs), tuple(marks), x, level)


def _carrier(gid: int, char: str) -> Glyph:
    """An invisible glyph that carries the text of a mark.

    Readers turn right-to-left lines round letter by letter, but not the characters within one letter, so a mark needs
    a place of its own, to the left of the letter it follows.
    """
    return Glyph(gid, char, 0.0)


def _clusters(shaped: list[tuple[int, bool]], length: int) -> list[tuple[int, int, int, int]]:
    """Group glyphs that stand for the same characters; a cluster of marks alone joins the letter before it.

    Args:
        shaped: Each glyph's cluster, and whether it moves the pen.
        length: Of the text.

    Returns:
        (first glyph, end of glyphs, first character, end of characters), left to right.
    """
    groups: list[list[int]] = []
    starts = sorted({cluster for cluster, _ in shaped})
    ends = dict(zip(starts, [*starts[1:], length], strict=True))
    for index, (cluster, _) in enumerate(shaped):
        if groups and groups[-1][2] == cluster:
            groups[-1][1] = index + 1
        else:
            groups.append([index, index + 1, cluster, ends[cluster]])
    backwards = len(groups) > 1 and groups[0][2] > groups[-1][2]
    if backwards:
        groups.reverse()
    joined: list[list[int]] = []
    for group in groups:
        if joined and not any(moves for _, moves in shaped[group[0] : group[1]]):
            letter = joined[-1]
            joined[-1] = [min(letter[0], group[0]), max(letter[1], group[1]), letter[2], group[3]]
        else:
            joined.append(group)
    if backwards:
        joined.reverse()
    return [(group[0], group[1], group[2], group[3]) for group in joined]


def _stand_in(text: str, font: Font, level: int) -> Piece:
    """A replacement sign for each character that no shipped font has; copying gives the character itself."""
    face = primary(Font(False, font.bold, font.italic))
    gid = face.font.get_nominal_glyph(ord(STAND_IN)) or 0
    advance = face.font.get_glyph_h_advance(gid) * face.scale
    glyphs = tuple(Glyph(gid, char, advance) for char in text)
    return Piece(face, glyphs[::-1] if level % 2 else glyphs, (), advance * len(glyphs), level)
