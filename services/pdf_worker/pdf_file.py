"""The file itself: small objects packed and compressed together (ISO 32000-1, 7.5.7 and 7.5.8).

reportlab writes each object on its own, and 20 bytes of a table for it. A tagged report has hundreds of small objects,
which were half of its file; packed they take a fifth of that.
"""

import struct
import zlib

from reportlab.pdfbase import pdfdoc
from reportlab.pdfbase.pdfdoc import PDFDocument

HEADER = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
"""The second line tells programs that move files that this one is not text."""

PACKED_TOGETHER = 200
"""Objects in one stream, which a reader has to unpack whole to get at one of them."""

FREE, PLAIN, PACKED = 0, 1, 2
"""Kinds of entries in the cross-reference stream."""


def add(document: PDFDocument, name: str, body: bytes) -> int:
    """Give the document an object that is written out already; return its number.

    As reportlab's dictionaries, the hundreds of them took a fifth of the time of a report.
    """
    document.Reference(body, name)
    return number_of(document, name)


def number_of(document: PDFDocument, name: str) -> int:
    """The number of the object that reportlab knows by this name."""
    number: int = document.idToObjectNumberAndVersion[name][0]
    return number


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """Data as an object of its own, compressed."""
    packed = zlib.compress(data)
    return b"<<%b /Filter /FlateDecode /Length %d>>\nstream\n%b\nendstream\n" % (entries, len(packed), packed)


def write_file(document: PDFDocument, identifier: bytes) -> bytes:
    """Return the finished PDF.

    Args:
        document: reportlab's document, all of whose objects are made or will be while others are formatted.
        identifier: 32 hex digits that the file is known by.
    """
    file = _File()
    # Formatting one object may make more of them.
    while (name := document.numberToId.get(len(file.entries))) is not None:
        body: bytes = pdfdoc.format(document.idToObject[name], document, toplevel=1)
        if body.endswith(b"endstream\n"):
            file.plain(body)
        else:
            file.packed(body)
    catalog, info = (pdfdoc.format(document.Reference(own), document) for own in (document.Catalog, document.info))
    return file.finish(b"/Root %b /Info %b /ID [<%b> <%b>]" % (catalog, info, identifier, identifier))


class _File:
    """Takes objects in the order of their numbers, the first being number 1.

    Attributes:
        entries: What the cross-reference stream says of each number: a kind, and where the object is.
    """

    def __init__(self) -> None:
        self.entries: list[tuple[int, int, int]] = [(FREE, 0, 0xFFFF)]
        self._parts = [HEADER]
        self._size = len(HEADER)
        self._waiting: list[tuple[int, bytes]] = []

    def plain(self, body: bytes) -> None:
        """Write an object on its own, as a stream must be."""
        self.entries.append((PLAIN, self._size, 0))
        self._write(b"%d 0 obj\n%bendobj\n" % (len(self.entries) - 1, body))

    def packed(self, body: bytes) -> None:
        """Keep an object to be written together with others."""
        self._waiting.append((len(self.entries), body))
        # Where it is, the packing will say.
        self.entries.append((PACKED, 0, 0))

    def finish(self, trailer: bytes) -> bytes:
        """Write what waits, and the table that finds all objects."""
        for start in range(0, len(self._waiting), PACKED_TOGETHER):
            self._pack(self._waiting[start : start + PACKED_TOGETHER])
        table = self._size
        self.entries.append((PLAIN, table, 0))
        rows = b"".join(struct.pack(">BIH", *entry) for entry in self.entries)
        entries = b"/Type /XRef /W [1 4 2] /Size %d %b" % (len(self.entries), trailer)
        self._write(b"%d 0 obj\n%bendobj\n" % (len(self.entries) - 1, stream(rows, entries)))
        self._write(b"startxref\n%d\n%%%%EOF\n" % table)
        return b"".join(self._parts)

    def _pack(self, objects: list[tuple[int, bytes]]) -> None:
        index, bodies, at = [], [], 0
        for place, (number, body) in enumerate(objects):
            self.entries[number] = (PACKED, len(self.entries), place)
            index.append(b"%d %d" % (number, at))
            bodies.append(body)
            at += len(body) + 1
        head = b" ".join(index) + b"\n"
        entries = b"/Type /ObjStm /N %d /First %d" % (len(objects), len(head))
        self.plain(stream(head + b"\n".join(bodies), entries))

    def _write(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
