"""The structure tree of a tagged PDF: what the marks on the pages mean, in reading order."""

from dataclasses import dataclass, field

from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFDocument, PDFName, PDFObjectReference, PDFString


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
        number: Its place in the written tree.
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
        """Hang the annotation called `name` into `element`; return its key in the parent tree, counted from 0."""
        self._annotations.append(element)
        element.kids.append(name)
        return len(self._annotations) - 1

    def write(self, document: PDFDocument, pages: list[str], annotation_base: int) -> PDFObjectReference:
        """Add the tree to the document.

        Args:
            document: reportlab's document.
            pages: Names of the page objects.
            annotation_base: Key in the parent tree of the first annotation.

        Returns:
            A reference to the structure tree's root.
        """
        elements: list[Element] = []
        stack = [self.root]
        while stack:
            element = stack.pop()
            element.number = len(elements)
            elements.append(element)
            stack.extend(kid for kid in reversed(element.kids) if isinstance(kid, Element))
        for element in elements:
            document.Reference(self._element(element, pages), f"Struct.{element.number}")
        parents = PDFDictionary({"Nums": self._parent_tree(document, annotation_base)})
        tree = PDFDictionary(
            {
                "Type": PDFName("StructTreeRoot"),
                "K": PDFObjectReference("Struct.0"),
                "ParentTree": document.Reference(parents, "Struct.parents"),
                "ParentTreeNextKey": str(annotation_base + len(self._annotations)),
            }
        )
        return document.Reference(tree, "Struct.root")

    def _parent_tree(self, document: PDFDocument, annotation_base: int) -> PDFArray:
        numbers: list[object] = []
        for index, marks in enumerate(self._pages):
            array = PDFArray([PDFObjectReference(f"Struct.{element.number}") for element in marks])
            numbers += [str(index), document.Reference(array, f"Struct.page.{index}")]
        for index, element in enumerate(self._annotations):
            numbers += [str(annotation_base + index), PDFObjectReference(f"Struct.{element.number}")]
        return PDFArray(numbers)

    @staticmethod
    def _element(element: Element, pages: list[str]) -> PDFDictionary:
        entries: dict[str, object] = {"Type": PDFName("StructElem"), "S": PDFName(element.tag)}
        parent = element.parent
        entries["P"] = PDFObjectReference(f"Struct.{parent.number}" if parent is not None else "Struct.root")
        if element.alt:
            entries["Alt"] = PDFString(element.alt)
        if element.identifier:
            entries["ID"] = PDFString(element.identifier)
        if element.attributes:
            entries["A"] = PDFDictionary(dict(element.attributes))
        first = next((kid[0] for kid in element.kids if isinstance(kid, tuple)), None)
        if first is not None:
            entries["Pg"] = PDFObjectReference(pages[first])
        kids: list[object] = []
        for kid in element.kids:
            if isinstance(kid, Element):
                kids.append(PDFObjectReference(f"Struct.{kid.number}"))
            elif isinstance(kid, str):
                kids.append(PDFDictionary({"Type": PDFName("OBJR"), "Obj": PDFObjectReference(kid)}))
            elif kid[0] == first:
                kids.append(str(kid[1]))
            else:
                kids.append(
                    PDFDictionary(
                        {"Type": PDFName("MCR"), "Pg": PDFObjectReference(pages[kid[0]]), "MCID": str(kid[1])}
                    )
                )
        if kids:
            entries["K"] = PDFArray(kids) if len(kids) > 1 else kids[0]
        return PDFDictionary(entries)
