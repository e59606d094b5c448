"""The structure tree of a tagged PDF: what the marks on the pages mean, in reading order."""

from dataclasses import dataclass, field

from reportlab.pdfbase.pdfdoc import PDFDocument, PDFObjectReference, PDFString

from services.pdf_worker.pdf_file import add, number_of


@dataclass(eq=False)
class Element:
    """A structure element.

    Attributes:
        tag: Standard structure type, such as `P`, `H1`, `TD`.
        parent: The element that it stands in; `None` for the document.
        alt: Alternative text for what is not text.
        attributes: PDF attribute dictionary as `owner` and entries.
        identifier: Unique name, which a note must have.
        kids: Elements, marked content and annotations, in the order of their first drawing.
        placed: It hangs in the tree.
        number: Of its object in the file.
    """

    tag: str
    parent: "Element | None" = None
    alt: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    identifier: str = ""
    kids: list["Element | tuple[int, int] | str"] = field(default_factory=list)
    placed: bool = False
    number: int = 0

    def place(self) -> None:
        """Hang this element into the tree, at the point that the drawing has reached."""
        element = self
        while not element.placed and element.parent is not None:
            element.placed = True
            element.parent.kids.append(element)
            element = element.parent


class Structure:
    """Collects marks while pages are drawn and writes the tree."""

    def __init__(self) -> None:
        self.root = Element("Document", placed=True)
        self._pages: list[list[Element]] = []
        self._annotations: list[Element] = []

    def start_page(self) -> None:
        """Begin the marks of a new page."""
        self._pages.append([])

    def mark(self, element: Element) -> int:
        """Return the number of a new mark of `element` on the current page."""
        marks = self._pages[-1]
        marks.append(element)
        element.place()
        element.kids.append((len(self._pages) - 1, len(marks) - 1))
        return len(marks) - 1

    def annotation(self, element: Element, name: str) -> int:
        """Hang the annotation called `name` into `element`; return its key, counted from 0 after the pages' keys."""
        self._annotations.append(element)
        element.kids.append(name)
        return len(self._annotations) - 1

    def write(self, document: PDFDocument, pages: list[str]) -> PDFObjectReference:
        """Add the tree to the document.

        Args:
            document: reportlab's document.
            pages: Names of the page objects.

        Returns:
            A reference to the structure tree's root.
        """
        # Numbers are given in turn, so that an element can name its kids before they are written.
        root = document.objectcounter + 1
        elements: list[Element] = []
        stack = [self.root]
        while stack:
            element = stack.pop()
            element.number = root + 1 + len(elements)
            elements.append(element)
            stack.extend(kid for kid in reversed(element.kids) if isinstance(kid, Element))
        parents = root + 1 + len(elements)
        add(
            document,
            "Struct.root",
            b"<</Type /StructTreeRoot /K %d 0 R /ParentTree %d 0 R /ParentTreeNextKey %d>>"
            % (self.root.number, parents, len(pages) + len(self._annotations)),
        )
        numbers = [number_of(document, page) for page in pages]
        for element in elements:
            parent = element.parent.number if element.parent is not None else root
            add(document, f"Struct.{element.number}", _written(element, parent, numbers, document))
        self._write_parents(document, parents, len(pages))
        return PDFObjectReference("Struct.root")

    def _write_parents(self, document: PDFDocument, number: int, first_annotation: int) -> None:
        """Add the tree that leads from marks and annotations to their elements."""
        entries = [b"%d %d 0 R" % (page, number + 1 + page) for page in range(len(self._pages))]
        for index, element in enumerate(self._annotations):
            entries.append(b"%d %d 0 R" % (first_annotation + index, element.number))
        add(document, "Struct.parents", b"<</Nums [%b]>>" % b" ".join(entries))
        for page, marks in enumerate(self._pages):
            add(document, f"Struct.page.{page}", b"[%b]" % b" ".join(b"%d 0 R" % mark.number for mark in marks))


def _written(element: Element, parent: int, pages: list[int], document: PDFDocument) -> bytes:
    entries = [b"/Type /StructElem /S /%b /P %d 0 R" % (element.tag.encode(), parent)]
    if element.alt:
        entries.append(b"/Alt " + PDFString(element.alt).format(document))
    if element.identifier:
        entries.append(b"/ID " + PDFString(element.identifier).format(document))
    if element.attributes:
        attributes = " ".join(f"/{key} {value}" for key, value in element.attributes.items())
        entries.append(b"/A <<%b>>" % attributes.encode())
    first = next((kid[0] for kid in element.kids if isinstance(kid, tuple)), None)
    if first is not None:
        entries.append(b"/Pg %d 0 R" % pages[first])
    kids = []
    for kid in element.kids:
        if isinstance(kid, Element):
            kids.append(b"%d 0 R" % kid.number)
        elif isinstance(kid, str):
            kids.append(b"<</Type /OBJR /Obj %d 0 R>>" % number_of(document, kid))
        elif kid[0] == first:
            kids.append(b"%d" % kid[1])
        else:
            kids.append(b"<</Type /MCR /Pg %d 0 R /MCID %d>>" % (pages[kid[0]], kid[1]))
    if kids:
        entries.append(b"/K [%b]" % b" ".join(kids) if len(kids) > 1 else b"/K " + kids[0])
    return b"<<%b>>" % b" ".join(entries)
