"""The fonts that are shipped, and which of them has a given character.

Every file comes from a package of the lock, or stands in `fonts/` with its licence (`fonts/README.md`). Files are
memory-mapped, so a script that no document uses costs neither time nor memory.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import uharfbuzz as hb

from services.pdf_worker.styles import Font

NOTO = "manimgx_fonts"
JETBRAINS = "fontpkg_jetbrains_mono/files"
BOLD_WEIGHT = 650.0
"""Between semibold and bold on the `wght` axis: Noto Sans at 700 is heavy beside 10 pt regular."""

FALLBACKS = (
    (NOTO, "NotoSans[wght].ttf"),
    (NOTO, "NotoSansArabic[wght].ttf"),
    (NOTO, "NotoSansHebrew[wght].ttf"),
    (NOTO, "NotoSansDevanagari[wght].ttf"),
    (NOTO, "NotoSansThai[wght].ttf"),
    ("", "DroidSansFallback.ttf"),
    (NOTO, "NotoSansBengali[wght].ttf"),
    (NOTO, "NotoSansTamil[wght].ttf"),
    (NOTO, "NotoSansTelugu[wght].ttf"),
    (NOTO, "NotoSansGujarati[wght].ttf"),
    (NOTO, "NotoSansGurmukhi[wght].ttf"),
    (NOTO, "NotoSansKannada[wght].ttf"),
    (NOTO, "NotoSansMalayalam[wght].ttf"),
    (NOTO, "NotoSansOriya[wght].ttf"),
    (NOTO, "NotoSansSinhala[wght].ttf"),
    (NOTO, "NotoSansArmenian[wght].ttf"),
    (NOTO, "NotoSansGeorgian[wght].ttf"),
    (NOTO, "NotoSansEthiopic[wght].ttf"),
    (NOTO, "NotoSansKhmer[wght].ttf"),
    (NOTO, "NotoSansLao[wght].ttf"),
    (NOTO, "NotoSansMyanmar[wght].ttf"),
    ("ziafont/fonts", "DejaVuSans.ttf"),
    (NOTO, "NotoSansSymbols[wght].ttf"),
    ("ziamath/fonts", "STIXTwoMath-Regular.ttf"),
    (NOTO, "NotoEmoji[wght].ttf"),
)
"""Asked in this order for a character that the wanted font lacks: common scripts first, symbols after letters."""

EMOJI = FALLBACKS[-1]
FIRST_PICTOGRAPH = 0x1F000
"""From here on Unicode's planes hold mostly emoji, which Noto Emoji draws better than DejaVu."""
EMOJI_PRESENTATION = 0xFE0F


@dataclass(frozen=True, eq=False)
class Face:
    """One font file at one weight.

    Attributes:
        name: PostScript-like name, without a subset's prefix.
        face: The file, for subsetting.
        font: The file at its weight, for shaping and measuring.
        weight: Position on the `wght` axis, `None` where the file has none.
        stroke: Width in 1/1000 em of a line drawn around each glyph, for a bold that the file lacks.
        scale: What a font unit is in 1/1000 em.
    """

    name: str
    face: hb.Face
    font: hb.Font
    weight: float | None
    stroke: float
    scale: float

    def __contains__(self, char: str) -> bool:
        return self.font.get_nominal_glyph(ord(char)) is not None


@cache
def _load(package: str, file: str) -> hb.Face:
    if not package:
        return hb.Face(hb.Blob.from_file_path(Path(__file__).parent / "fonts" / file))
    top, _, rest = package.partition("/")
    spec = importlib.util.find_spec(top)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"font package {top!r} is not installed: install the distribution's `pdf` extra")
    return hb.Face(hb.Blob.from_file_path(Path(next(iter(spec.submodule_search_locations))) / rest / file))


@cache
def face(package: str, file: str, bold: bool) -> Face:
    """Open a font file at regular or bold weight."""
    loaded = _load(package, file)
    font = hb.Font(loaded)
    variable = "wght" in file
    weight = (BOLD_WEIGHT if bold else 400.0) if variable else None
    if weight is not None:
        font.set_variations({"wght": weight})
    name = file.partition(".")[0].partition("[")[0].removesuffix("-Regular")
    return Face(
        name=name.replace("-", "") + ("-Bold" if bold else "-Regular"),
        face=loaded,
        font=font,
        weight=weight,
        stroke=28.0 if bold and not variable else 0.0,
        scale=1000 / loaded.upem,
    )


@cache
def primary(wanted: Font) -> Face:
    """The face that answers when it has the character."""
    if wanted.mono:
        return face(JETBRAINS, f"JetBrainsMono{'-Italic' if wanted.italic else ''}[wght].ttf", wanted.bold)
    return face(NOTO, f"NotoSans{'-Italic' if wanted.italic else ''}[wght].ttf", wanted.bold)


def _candidates(wanted: Font, char: str, emoji: bool) -> Iterator[Face]:
    if emoji or ord(char) >= FIRST_PICTOGRAPH:
        yield face(*EMOJI, wanted.bold)
    yield primary(wanted)
    for package, file in FALLBACKS:
        yield face(package, file, wanted.bold)


@cache
def covering(wanted: Font, char: str, emoji: bool = False) -> Face | None:
    """The first face that has the character, or `None` if no shipped font does.

    Args:
        wanted: The font asked for.
        char: One character.
        emoji: The character is followed by the emoji presentation selector.
    """
    return next((candidate for candidate in _candidates(wanted, char, emoji) if char in candidate), None)
