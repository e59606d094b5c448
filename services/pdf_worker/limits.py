"""What a document may cost, and the error that says which limit it passed."""

from dataclasses import dataclass


class DocumentError(Exception):
    """The document itself cannot be made into a PDF; the same text would fail again.

    The message says which limit was passed, by how much, and what to do about it.
    """


@dataclass(frozen=True)
class Limits:
    """Bounds on one document. The defaults fit a 300-page report.

    Attributes:
        characters: Length of the Markdown. A million is about 400 pages of prose.
        pages: Pages of the PDF.
        nesting: Depth of lists and quotes, counted in Markdown containers; a deeper block is set as plain text.
        table_cells: Cells of one table; a larger table is set as plain text.
        image_bytes: Size of one encoded image.
        image_pixels: Width times height of one image, checked before it is decoded.
        seconds: Wall-clock time of one rendering in a child process.
        memory: Address space in bytes that a rendering may take on top of what the idle child has. A text of the
            longest permitted kind takes about 150 MiB.
    """

    characters: int = 1_000_000
    pages: int = 2_000
    nesting: int = 60
    table_cells: int = 40_000
    image_bytes: int = 10 * 1024 * 1024
    image_pixels: int = 20_000_000
    seconds: float = 120.0
    memory: int = 512 * 1024 * 1024
