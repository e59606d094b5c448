"""Runs of glyphs as PDF text operators."""

from reportlab.pdfbase.pdfdoc import PDFDocument, PDFObjectReference

from services.pdf_worker.embed import EmbeddedFont
from services.pdf_worker.fonts import Face
from services.pdf_worker.shaping import Glyph, Mark, Piece
from services.pdf_worker.styles import Style


class GlyphRuns:
    """Writes text for one document and remembers what it used of each font."""

    def __init__(self) -> None:
        self._fonts: dict[Face, EmbeddedFont] = {}
        self._strings: dict[tuple[Face, Glyph], str] = {}

    def write(self, document: PDFDocument) -> dict[str, PDFObjectReference]:
        """Embed the fonts; return them by the names that the text uses."""
        return {font.name: font.write(document) for font in self._fonts.values()}

    def run(self, pieces: list[Piece], style: Style, x: float, y: float) -> str:
        """A text object of pieces one after the other.

        Args:
            pieces: In visual order.
            style: Of all of them.
            x: Where they begin, in points from the page's left edge.
            y: Their baseline, in points from the page's bottom edge.
        """
        ops = [f"BT {style.color} rg"]
        body: list[str] = []
        marks: list[tuple[Face, Mark, float]] = []
        at = x
        face: Face | None = None
        for piece in pieces:
            if piece.face is not face:
                self._show(ops, body)
                self._set_face(ops, piece.face, face, style)
                ops.append(f"1 0 0 1 {at:.2f} {y:.2f} Tm")
                face = piece.face
            self._glyphs(piece, ops, body, style.size)
            marks.extend((piece.face, mark, at) for mark in piece.marks)
            at += piece.width * style.size / 1000
        self._show(ops, body)
        if marks:
            ops.append("/Span <</ActualText <FEFF>>> BDC")
            for owner_face, mark, start in marks:
                if owner_face is not face:
                    self._set_face(ops, owner_face, face, style)
                    face = owner_face
                code = self._font(owner_face).code(mark.gid, "")
                right, up = start + mark.x * style.size / 1000, y + mark.y * style.size / 1000
                ops.append(f"1 0 0 1 {right:.2f} {up:.2f} Tm <{code}> Tj")
            ops.append("EMC")
        if face is not None and face.stroke:
            ops.append("0 Tr")
        ops.append("ET")
        return "\n".join(ops)

    def _font(self, face: Face) -> EmbeddedFont:
        font = self._fonts.get(face)
        if font is None:
            font = self._fonts[face] = EmbeddedFont(face, f"F{len(self._fonts) + 1}")
        return font

    def _set_face(self, ops: list[str], face: Face, before: Face | None, style: Style) -> None:
        ops.append(f"/{self._font(face).name} {style.size:g} Tf")
        if face.stroke:
            ops.append(f"2 Tr {face.stroke * style.size / 1000:.2f} w {style.color} RG")
        elif before is not None and before.stroke:
            ops.append("0 Tr")

    def _glyphs(self, piece: Piece, ops: list[str], body: list[str], size: float) -> None:
        strings = self._strings
        left = 0
        for glyph in piece.glyphs:
            found = strings.get((piece.face, glyph))
            if found is None:
                found = strings[piece.face, glyph] = self._code(piece.face, glyph)
            if glyph.span > 1:
                self._show(ops, body)
                ops.append(f"/Span <</ActualText <FEFF{glyph.text.encode('utf-16-be').hex().upper()}>>> BDC")
                left = glyph.span
            if glyph.dy:
                self._show(ops, body)
                ops.append(f"{glyph.dy * size / 1000:.2f} Ts [<{found}>] TJ 0 Ts")
            else:
                body.append(found)
            if left:
                left -= 1
                if not left:
                    self._show(ops, body)
                    ops.append("EMC")

    def _code(self, face: Face, glyph: Glyph) -> str:
        """What draws a glyph inside a TJ array's string, with the steps that kerning wants."""
        font = self._font(face)
        code = font.code(glyph.gid, glyph.text)
        extra = round(font.natural(glyph.gid) - glyph.advance, 2)
        if glyph.dx:
            return f">{-glyph.dx:.6g}<{code}>{glyph.dx + extra:.6g}<"
        return f"{code}>{extra:.6g}<" if extra else code

    @staticmethod
    def _show(ops: list[str], body: list[str]) -> None:
        if body:
            ops.append(f"[<{''.join(body)}>] TJ".replace("<>", ""))
            body.clear()
