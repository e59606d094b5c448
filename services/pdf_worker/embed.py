"""Embedding of font subsets.

reportlab's own TrueType embedding maps characters to glyphs, which shaped text (Arabic, Devanagari, ligatures) is not.
Here a code stands for a glyph *and* the text it was drawn for, so that copying always gives back what went in, even
where one glyph serves several characters.
"""

import hashlib

import uharfbuzz as hb
from reportlab.pdfbase.pdfdoc import (
    PDFArray,
    PDFDictionary,
    PDFDocument,
    PDFName,
    PDFObjectReference,
    PDFStream,
    PDFString,
    PDFZCompress,
)

from services.pdf_worker.fonts import Face

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
        file = _stream(data, {"Length1": str(len(data))})
        descriptor = PDFDictionary(
            {
                "Type": PDFName("FontDescriptor"),
                "FontName": PDFName(base),
                "Flags": "4",
                "FontBBox": PDFArray(
                    ["-1000", str(round(extents.descender * scale)), "3000", str(round(extents.ascender * scale))]
                ),
                "ItalicAngle": "-12" if "Italic" in self.face.name else "0",
                "Ascent": str(round(extents.ascender * scale)),
                "Descent": str(round(extents.descender * scale)),
                "CapHeight": "714",
                "StemV": "140" if self.face.name.endswith("Bold") else "80",
                "FontFile2": document.Reference(file, f"{key}.file"),
            }
        )
        to_gid = b"\0\0" + b"".join(new_ids[gid].to_bytes(2, "big") for gid, _ in order)
        widths = PDFArray(["1", PDFArray([_number(self.natural(gid)) for gid, _ in order])])
        descendant = PDFDictionary(
            {
                "Type": PDFName("Font"),
                "Subtype": PDFName("CIDFontType2"),
                "BaseFont": PDFName(base),
                "CIDSystemInfo": PDFDictionary(
                    {"Registry": PDFString("Adobe"), "Ordering": PDFString("Identity"), "Supplement": "0"}
                ),
                "FontDescriptor": document.Reference(descriptor, f"{key}.descriptor"),
                "DW": "1000",
                "W": document.Reference(widths, f"{key}.widths"),
                "CIDToGIDMap": document.Reference(_stream(to_gid), f"{key}.map"),
            }
        )
        font = PDFDictionary(
            {
                "Type": PDFName("Font"),
                "Subtype": PDFName("Type0"),
                "BaseFont": PDFName(base),
                "Encoding": PDFName("Identity-H"),
                "DescendantFonts": PDFArray([document.Reference(descendant, f"{key}.descendant")]),
                "ToUnicode": document.Reference(_stream(_to_unicode(order)), f"{key}.unicode"),
            }
        )
        return document.Reference(font, key)

    def _subset(self, gids: set[int]) -> tuple[bytes, dict[int, int]]:
        request = hb.SubsetInput()
        request.glyph_set.update(gids)
        request.flags = hb.SubsetFlags.NO_HINTING | hb.SubsetFlags.NO_LAYOUT_CLOSURE | hb.SubsetFlags.NOTDEF_OUTLINE
        for tag in DROPPED:
            request.drop_table_tag_set.add(int.from_bytes(tag.ljust(4).encode(), "big"))
        if self.face.weight is not None:
            request.pin_axis_location(self.face.face, "wght", self.face.weight)
        plan = hb.SubsetPlan(self.face.face, request)
        data: bytes = plan.execute().blob.data
        return data, dict(plan.old_to_new_glyph_mapping)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _stream(data: bytes, entries: dict[str, str] | None = None) -> PDFStream:
    stream = PDFStream(PDFDictionary(dict(entries or {})), data)
    stream.filters = [PDFZCompress]
    return stream


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
