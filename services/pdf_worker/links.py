"""Areas of pages that lead to an address or to a place in the document."""

from dataclasses import dataclass

from reportlab.pdfbase.pdfdoc import PDFDocument, PDFObjectReference, PDFString

from services.pdf_worker.pdf_file import add, number_of
from services.pdf_worker.structure import Element, Structure


@dataclass(frozen=True, slots=True)
class _Link:
    area: str
    target: str
    key: int | None


class Links:
    """The links of one document and the places they may lead to."""

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        self._links: list[_Link] = []
        self._elements: dict[tuple[Element, str], Element] = {}
        self._places: dict[str, tuple[int, float]] = {}

    def element(self, parent: Element, target: str) -> Element:
        """The structure element of all parts of one link, which may go on in the next line."""
        found = self._elements.get((parent, target))
        if found is None:
            found = self._elements[parent, target] = Element("Link", parent)
        return found

    def add(
        self, left: float, bottom: float, right: float, top: float, target: str, owner: Element | None
    ) -> PDFObjectReference:
        """Make an area of the current page a link; return the annotation that the page is to name.

        Args:
            left: In points from the page's bottom left corner, as the others.
            bottom: See `left`.
            right: See `left`.
            top: See `left`.
            target: An address, or `#` and the name of a place.
            owner: The element it belongs to; `None` where a reader should not hear of it.
        """
        name = f"Link.{len(self._links)}"
        key = self._structure.annotation(owner, name) if owner is not None else None
        self._links.append(_Link(f"{left:.2f} {bottom:.2f} {right:.2f} {top:.2f}", target, key))
        return PDFObjectReference(name)

    def place(self, name: str, page: int, top: float) -> None:
        """Let `#name` lead to a page, counted from 0, and a height on it; the first place of a name stays."""
        self._places.setdefault("#" + name, (page, top))

    def write(self, document: PDFDocument, pages: list[str], height: float) -> None:
        """Add the annotations to the document.

        Args:
            document: reportlab's document.
            pages: Names of the page objects.
            height: Of a page: a link to a place that there is not leads to the top of the first.
        """
        for index, link in enumerate(self._links):
            add(document, f"Link.{index}", self._written(link, document, pages, height))

    def _written(self, link: _Link, document: PDFDocument, pages: list[str], height: float) -> bytes:
        contents = PDFString(link.target.lstrip("#")).format(document)
        entries = [b"/Type /Annot /Subtype /Link /Rect [%b] /Border [0 0 0] /F 4" % link.area.encode()]
        entries.append(b"/Contents " + contents)
        if link.target.startswith("#"):
            page, top = self._places.get(link.target, (0, height))
            entries.append(b"/Dest [%d 0 R /XYZ null %.2f null]" % (number_of(document, pages[page]), top))
        else:
            address = PDFString(link.target.encode("ascii", "replace").decode()).format(document)
            entries.append(b"/A <</Type /Action /S /URI /URI %b>>" % address)
        if link.key is not None:
            # Keys of the pages come first in the tree that leads back to elements.
            entries.append(b"/StructParent %d" % (len(pages) + link.key))
        return b"<<%b>>" % b" ".join(entries)
