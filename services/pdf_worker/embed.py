"""Embedding of font subsets.

reportlab's own TrueType embedding maps characters to glyphs, which shaped text (Arabic, Devanagari, ligatures) is not.
Here a code stands for a glyph *and* the text it was drawn for, so that copying always gives back what went in, even
where one glyph serves several characters.
"""

import hashlib

import uharfbuzz as hb
from reportlab.pdfbase.pdfdoc import PDFDocument, PDFObjectReference

from services.pdf_worker.fonts import Face
from services.pdf_worker.pdf_file import add, stream

KEPT = ("head", "hhea", "maxp", "hmtx", "loca", "glyf")
"""All that a viewer needs of a TrueType font with a CIDToGIDMap (ISO 32000-1, 9.9)."""

DROPPED = (
    "GSUB",
    "GPOS",
    "GDEF",
    "BASE",
    "name",
    "post",
    "cmap",
    "OS/2",
    "STAT",
    "HVAR",
    "MATH",
    "DSIG",
    "gasp",
    "JSTF",
    "VORG",
    "vhea",
    "vmtx",
    "kern",
    "FFTM",
    "avar",
    "MVAR",
    "meta",
    "hdmx",
    "VDMX",
    "LTSH",
    "prop",
    "morx",
    "mort",
)


class EmbeddedFont:
    """The part of one face that a document uses."""

    def __init__(self, face: Face, name: str) -> None:
        self.face = face
        self.name = name
        self._codes: dict[tuple[int, str], str] = {}
        self._natural: dict[int, float] = {}

    def code(self, gid: int, text: str) -> str:
        """Hex digits that draw the glyph and copy as `text`."""
        found = self._codes.get((gid, text))
        if found is None:
            # Code 0 stays the missing glyph.
            found = self._codes[gid, text] = f"{len(self._codes) + 1:04X}"
        return found

    def natural(self, gid: int) -> float:
        """The glyph's advance in the font file, in 1/1000 em, as the PDF states it."""
        found = self._natural.get(gid)
        if found is None:
            found = self._natural[gid] = round(self.face.font.get_glyph_h_advance(gid) * self.face.scale, 2)
        return found

    def write(self, document: PDFDocument) -> PDFObjectReference:
        """Add the subset and its dictionaries; return a reference to the font."""
        order = list(self._codes)
        data, new_ids = self._subset({gid for gid, _ in order})
        # A subset's prefix is six letters; taking them from its bytes keeps the PDF the same on every machine.
        digest = hashlib.sha256(data).digest()
        base = "".join(chr(65 + byte % 26) for byte in digest[:6]) + "+" + self.face.name
        extents = self.face.font.get_font_extents("ltr")
        scale = self.face.scale
        key = f"Font.{self.name}"
        file = add(document, f"{key}.file", stream(data, b"/Length1 %d" % len(data)))
        ascent, descent = round(extents.ascender * scale), round(extents.descender * scale)
        angle = -12 if "Italic" in self.face.name else 0
        stem = 140 if self.face.name.endswith("Bold") else 80
        descriptor = add(
            document,
            f"{key}.descriptor",
            f"<</Type /FontDescriptor /FontName /{base} /Flags 4 /FontBBox [-1000 {descent} 3000 {ascent}] "
            f"/ItalicAngle {angle} /Ascent {ascent} /Descent {descent} /CapHeight 714 /StemV {stem} "
            f"/FontFile2 {file} 0 R>>".encode(),
        )
        to_gid = b"\0\0" + b"".join(new_ids[gid].to_bytes(2, "big") for gid, _ in order)
        code_map = add(document, f"{key}.map", stream(to_gid))
        widths = " ".join(_number(self.natural(gid)) for gid, _ in order)
        descendant = add(
            document,
            f"{key}.descendant",
            f"<</Type /Font /Subtype /CIDFontType2 /BaseFont /{base} "
            "/CIDSystemInfo <</Registry (Adobe) /Ordering (Identity) /Supplement 0>> "
            f"/FontDescriptor {descriptor} 0 R /DW 1000 /W [1 [{widths}]] /CIDToGIDMap {code_map} 0 R>>".encode(),
        )
        unicode = add(document, f"{key}.unicode", stream(_to_unicode(order)))
        add(
            document,
            key,
            f"<</Type /Font /Subtype /Type0 /BaseFont /{base} /Encoding /Identity-H "
            f"/DescendantFonts [{descendant} 0 R] /ToUnicode {unicode} 0 R>>".encode(),
        )
        return PDFObjectReference(key)

    def _subset(self, gids: set[int]) -> tuple[bytes, dict[int, int]]:
        request = hb.SubsetInput()
        request.glyph_set.update(gids)
        request.flags = hb.SubsetFlags.NO_HINTING | hb.SubsetFlags.NO_LAYOUT_CLOSURE | hb.SubsetFlags.NOTDEF_OUTLINE
        request.drop_table_tag_set.update(int.from_bytes(tag.ljust(4).encode(), "big") for tag in DROPPED)
        if self.face.weight is not None:
            request.pin_axis_location(self.face.face, "wght", self.face.weight)
        plan = hb.SubsetPlan(self.face.face, request)
        data: bytes = plan.execute().blob.data
        return data, dict(plan.old_to_new_glyph_mapping)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _to_unicode(order: list[tuple[int, str]]) -> bytes:
    lines = []
    for code, (_, text) in enumerate(order, 1):
        # A mark stands for nothing of its own; a reader that ignores the empty ActualText around it gets this instead.
        units = (text or "\u200b").encode("utf-16-be", "replace").hex().upper()
        lines.append(f"<{code:04X}> <{units}>")
    body = ""
    for start in range(0, len(lines), 100):
        part = lines[start : start + 100]
        body += f"{len(part)} beginbfchar\n" + "\n".join(part) + "\nendbfchar\n"
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        f"{body}endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode()
