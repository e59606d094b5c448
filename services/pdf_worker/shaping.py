"""From text to glyphs: font runs, HarfBuzz shaping, bidirectional levels."""

import re
import unicodedata
from typing import NamedTuple

import uharfbuzz as hb
from bidi import algorithm

from services.pdf_worker.fonts import EMOJI_PRESENTATION, Face, covering, primary
from services.pdf_worker.styles import Font

RTL = re.compile("[\u0590-\u08ff\u200f\u202b\u202e\u2067\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
"""Text without any of these needs no bidirectional algorithm."""

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
    """One glyph; lengths in 1/1000 em."""

    gid: int
    text: str
    advance: float
    dx: float
    dy: float


class Piece(NamedTuple):
    """Glyphs of one face and one direction, in the order they are drawn, left to right.

    Attributes:
        face: The face of all glyphs.
        glyphs: Left to right.
        width: Sum of the advances in 1/1000 em.
        level: Bidirectional embedding level; odd is right to left.
        text: What the glyphs stand for, set where glyphs and characters are not one to one; else empty.
    """

    face: Face
    glyphs: tuple[Glyph, ...]
    width: float
    level: int
    text: str


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
    algorithm.explicit_embed_and_overrides(storage)
    algorithm.resolve_weak_types(storage)
    algorithm.resolve_neutral_types(storage, False)
    algorithm.resolve_implicit_levels(storage, False)
    found = [base] * len(text)
    # The algorithm drops explicit marks (rule X9); they keep the paragraph's level here, since they are drawn as nothing.
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
        if level % 2:
            runs.reverse()
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
    scale = face.scale
    infos, positions = buffer.glyph_infos, buffer.glyph_positions
    clusters = [info.cluster for info in infos]
    starts = sorted(set(clusters))
    ends = dict(zip(starts, [*starts[1:], len(text)], strict=True))
    exact = len(starts) == len(clusters)
    seen: set[int] = set()
    glyphs = []
    width = 0.0
    for info, position in zip(infos, positions, strict=True):
        start = info.cluster
        covers = "" if start in seen else text[start : ends[start]]
        seen.add(start)
        advance = position.x_advance * scale
        width += advance
        glyphs.append(Glyph(info.codepoint, covers, advance, position.x_offset * scale, position.y_offset * scale))
    return Piece(face, tuple(glyphs), width, level, "" if exact else text)


def _stand_in(text: str, font: Font, level: int) -> Piece:
    """A replacement sign for each character that no shipped font has; copying gives the character itself."""
    face = primary(Font(False, font.bold, font.italic))
    gid = face.font.get_nominal_glyph(ord(STAND_IN)) or 0
    advance = face.font.get_glyph_h_advance(gid) * face.scale
    glyphs = tuple(Glyph(gid, char, advance, 0.0, 0.0) for char in text)
    return Piece(face, glyphs[::-1] if level % 2 else glyphs, advance * len(glyphs), level, "")
