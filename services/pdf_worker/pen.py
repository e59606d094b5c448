"""Drawing on reportlab's canvas: text as glyphs, panels, links, marks for the structure tree.

Coordinates are from the top left corner of the page, in points; y grows downwards.
"""

import hashlib
from collections.abc import Sequence
from functools import partial

from reportlab import rl_config
from reportlab.pdfbase.pdfdoc import PDFDictionary, PDFDocument, PDFName
from reportlab.pdfgen.canvas import Canvas

from services.pdf_worker.atoms import Atom
from services.pdf_worker.glyph_runs import GlyphRuns
from services.pdf_worker.lines import Line
from services.pdf_worker.links import Links
from services.pdf_worker.pdf_file import write_file
from services.pdf_worker.shaping import Piece, shape
from services.pdf_worker.structure import Element, Structure
from services.pdf_worker.styles import Font, Style

# reportlab fetches images by address and evaluates colours for its markup. Neither is used here; both doors stay shut.
rl_config.trustedHosts = None
rl_config.trustedSchemes = []
# Without the detour over printable characters files are a fifth smaller.
rl_config.useA85 = 0

ARTIFACT = Element("Artifact")
"""What a reader of the text should not hear: rules, panels, running heads."""


class Pen:
    """Draws one document."""

    def __init__(self, width: float, height: float) -> None:
        self.canvas = Canvas(None, pagesize=(width, height), invariant=1, pageCompression=1, pdfVersion=(1, 7))
        self.document: PDFDocument = self.canvas._doc
        self.width, self.height = width, height
        self.structure = Structure()
        self._glyphs = GlyphRuns()
        self._ops: list[str] = []
        self._marked: Element | None = None
        self._links = Links(self.structure)
        self.page = -1
        self.bookmarks = 0
        # reportlab would begin each page with a font of its own, which is not embedded.
        self.canvas._preamble = ""

    # Pages and marks

    def start_page(self) -> None:
        """Begin a page."""
        self.page += 1
        self.structure.start_page()

    def end_page(self) -> None:
        """Finish the page."""
        self._close_mark()
        self.canvas.addLiteral("\n".join(self._ops))
        self._ops = []
        self.canvas.showPage()

    def mark(self, element: Element) -> None:
        """Everything drawn from here on belongs to `element`."""
        if self._marked is element:
            return
        self._close_mark()
        self._marked = element
        if element is ARTIFACT:
            self._ops.append("/Artifact BMC")
        else:
            self._ops.append(f"/{element.tag} <</MCID {self.structure.mark(element)}>> BDC")

    def _close_mark(self) -> None:
        if self._marked is not None:
            self._ops.append("EMC")
            self._marked = None

    # Shapes

    def panel(self, x: float, y: float, width: float, height: float, color: str, radius: float = 0.0) -> None:
        """A filled rectangle, its corners rounded by `radius`."""
        self.mark(ARTIFACT)
        bottom = self.height - y - height
        if radius:
            r = min(radius, height / 2, width / 2)
            k = r * 0.448  # how far a Bezier handle stays from the corner, for a circle's quarter
            left, right, top = x, x + width, bottom + height
            path = [f"{left + r:.2f} {bottom:.2f} m {right - r:.2f} {bottom:.2f} l"]
            for ax, ay, bx, by, cx, cy, dx, dy in (
                (right - k, bottom, right, bottom + k, right, bottom + r, right, top - r),
                (right, top - k, right - k, top, right - r, top, left + r, top),
                (left + k, top, left, top - k, left, top - r, left, bottom + r),
                (left, bottom + k, left + k, bottom, left + r, bottom, left + r, bottom),
            ):
                path.append(f"{ax:.2f} {ay:.2f} {bx:.2f} {by:.2f} {cx:.2f} {cy:.2f} c {dx:.2f} {dy:.2f} l")
            self._ops.append(f"{color} rg {' '.join(path)} f")
        else:
            self._ops.append(f"{color} rg {x:.2f} {bottom:.2f} {width:.2f} {height:.2f} re f")

    def rule(self, x: float, y: float, length: float, color: str, thickness: float = 0.5) -> None:
        """A horizontal line."""
        self.mark(ARTIFACT)
        self._ops.append(
            f"{color} RG {thickness:.2f} w {x:.2f} {self.height - y:.2f} m {x + length:.2f} {self.height - y:.2f} l S"
        )

    def literal(self, ops: str, element: Element) -> None:
        """PDF operators of our own making."""
        self.mark(element)
        self._ops.append(ops)

    def image(self, image: object, x: float, y: float, width: float, height: float, element: Element) -> None:
        """A picture that reportlab has opened."""
        self.mark(element)
        self._flush()
        self.canvas.drawImage(image, x, self.height - y - height, width, height, mask="auto")

    def _flush(self) -> None:
        self.canvas.addLiteral("\n".join(self._ops))
        self._ops = []

    # Text

    def line(self, line: Line, x: float, y: float, element: Element) -> None:
        """One line of a paragraph, its top at `y`, in visual order."""
        x += line.indent
        base = y + line.baseline
        atoms = line.atoms
        placed: list[tuple[Atom, Piece | None]] = []
        for atom in atoms:
            if atom.inline is not None or not atom.pieces:
                placed.append((atom, None))
            else:
                placed.extend((atom, piece) for piece in atom.pieces)
        if any(piece is not None and piece.level for _, piece in placed):
            placed = _reorder(placed)
        self._panels(placed, x, base)
        run: list[Piece] = []
        style: Style | None = None
        start = x
        for atom, piece in placed:
            width = atom.width if piece is None else piece.width * atom.style.size / 1000
            if piece is None or (style is not None and atom.style is not style):
                self._run(run, style, start, base, element)
                run, start = [], x
            if piece is None:
                if atom.inline is not None:
                    atom.inline.draw(self, x, base, element)
                start = x + width
                style = None
            else:
                style = atom.style
                run.append(piece)
            x += width
        self._run(run, style, start, base, element)
        if line.hyphen is not None and atoms:
            self._hyphen(line.hyphen, atoms[-1].style, x, base, element)

    def _panels(self, placed: Sequence[tuple[Atom, Piece | None]], x: float, base: float) -> None:
        start, style = x, None
        for atom, piece in [*placed, (None, None)]:
            current = atom.style if atom is not None and atom.style.panel else None
            if style is not None and current is not style:
                self.panel(start - 1.6, base - style.size * 0.92, x - start + 3.2, style.size * 1.24, style.panel, 2.0)
            if current is not style:
                start, style = x, current
            if atom is not None:
                x += atom.width if piece is None else piece.width * atom.style.size / 1000

    def _run(self, pieces: list[Piece], style: Style | None, x: float, base: float, element: Element) -> None:
        if not pieces or style is None:
            return
        owner = self._links.element(element, style.link) if style.link and element is not ARTIFACT else element
        self.mark(owner)
        width = sum(piece.width for piece in pieces) * style.size / 1000
        y = self.height - base + style.rise
        ops = [self._glyphs.run(pieces, style, x, y)]
        if style.strike:
            middle = y + style.size * 0.28
            ops.append(f"{style.color} RG 0.6 w {x:.2f} {middle:.2f} m {x + width:.2f} {middle:.2f} l S")
        self._ops.append("\n".join(ops))
        if style.link and element is not ARTIFACT:
            if style.link.startswith("http") and not style.rise:
                self.rule(x, base + 1.6, width, "0.70 0.82 0.85", 0.4)
            self.link(x, base - style.size - style.rise, width, style.size * 1.3, style.link, owner)

    def _hyphen(self, hyphen: Piece, style: Style, x: float, base: float, element: Element) -> None:
        """A hyphen that the layout put in: a copying reader gets a soft hyphen (ISO 32000-1, 14.8.2.2.3)."""
        glyph = hyphen.glyphs[0]._replace(text="\u00ad")
        self._run([hyphen._replace(glyphs=(glyph,))], style, x, base, element)

    def hidden_text(self, text: str, x: float, base: float, width: float, size: float, element: Element) -> None:
        """Text that is not seen but found and copied, stretched over what stands for it."""
        pieces = shape(" ".join(text.split()), Font(), "en")
        natural = sum(piece.width for piece in pieces) * size / 1000
        if not natural or width <= 0:
            return
        self._ops.append(f"q BT 3 Tr {100 * width / natural:.4f} Tz ET")
        self._run(list(pieces), Style(size=size), x, base, element)
        self._ops.append("Q")

    def dots(self, start: float, base: float, end: float, color: str) -> None:
        """Leader dots on a baseline; they line up from entry to entry."""
        if end - start < 6:
            return
        self.mark(ARTIFACT)
        y = self.height - base + 0.6
        self._ops.append(
            f"q {color} RG 0.7 w 1 J [0 4] {start % 4:.2f} d {start:.2f} {y:.2f} m {end:.2f} {y:.2f} l S Q"
        )

    # Links and bookmarks

    def bookmark(self, title: str, name: str, level: int, y: float) -> None:
        """An entry of the reader's outline."""
        self.canvas.bookmarkPage(name, fit="XYZ", left=0, top=self.height - max(y - 12, 0), zoom=0)
        self.canvas.addOutlineEntry(title, name, level, closed=level > 0)
        self.bookmarks += 1

    def link(self, x: float, y: float, width: float, height: float, target: str, owner: Element) -> None:
        """Make an area lead to an address or to `#name`."""
        top = self.height - y
        own = None if owner is ARTIFACT else owner
        self.canvas._annotationrefs.append(self._links.add(x, top - height, x + width, top, target, own))

    def target(self, name: str, y: float) -> None:
        """Let `#name` lead here."""
        self._links.place(name, self.page, self.height - max(y - 12, 0))

    # The end

    def finish(self, identity: bytes) -> bytes:
        """Write fonts, structure and destinations; return the PDF.

        Args:
            identity: What the file's identifier is made from. reportlab's own takes in `SOURCE_DATE_EPOCH`.
        """
        document = self.document
        pages = document.Pages.pages
        names = [f"Page{index + 1}" for index in range(len(pages))]
        for index, page in enumerate(pages):
            page.__NoDefault__ = [*page.__NoDefault__, "StructParents", "Tabs"]
            page.StructParents = str(index)
            page.Tabs = PDFName("S")
        fonts = document.idToObject["BasicFonts"]
        fonts.dict.clear()
        fonts.dict.update(self._glyphs.write(document))
        self._links.write(document, names, self.height)
        catalog = document.Catalog
        catalog.StructTreeRoot = self.structure.write(document, names)
        catalog.MarkInfo = document.Reference(PDFDictionary({"Marked": "true"}), "MarkInfo")
        # reportlab makes its last objects ready and then has the document format itself.
        document.format = partial(write_file, document, hashlib.sha256(identity).hexdigest()[:32].encode())
        pdf: bytes = self.canvas.getpdfdata()
        return pdf


def _reorder(placed: list[tuple[Atom, Piece | None]]) -> list[tuple[Atom, Piece | None]]:
    """Rule L2 of Unicode's annex 9: from the highest level down to 1, reverse each run at that level or above."""
    own = []
    previous = 0
    for _, piece in placed:
        previous = piece.level if piece is not None else previous
        own.append(previous)
    for level in range(max(own), 0, -1):
        start = 0
        while start < len(own):
            if own[start] < level:
                start += 1
                continue
            end = start
            while end < len(own) and own[end] >= level:
                end += 1
            placed[start:end] = placed[start:end][::-1]
            own[start:end] = own[start:end][::-1]
            start = end
    return placed
