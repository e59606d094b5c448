"""What goes into a rendering and what comes out; standard library only, so that the worker itself stays small."""

from dataclasses import dataclass, field

from services.contracts.reports import Paper


@dataclass(frozen=True)
class DocumentInfo:
    """What is known about a document besides its text.

    Attributes:
        title: On the cover and in the metadata. Empty: the first heading, else the prompt's start, else no cover.
        subtitle: A line under the title.
        prompt: The question that the document answers; the PDF's subject.
        model: The model that wrote it; the PDF's author.
        report_id: Shown on the cover.
        created_at: RFC 3339 time, the date on the cover and in the metadata.
        language: BCP 47 tag: hyphenation, letter forms, document language.
        paper: Page size.
        keywords: For the metadata.
    """

    title: str
    subtitle: str = ""
    prompt: str = ""
    model: str = ""
    report_id: str = ""
    created_at: str = ""
    language: str = "en"
    paper: Paper = Paper.A4
    keywords: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rendered:
    """A finished document.

    Attributes:
        pdf: The file's bytes.
        pages: Number of pages.
        fallbacks: One sentence for each block that could not be laid out and was set as plain text.
    """

    pdf: bytes
    pages: int
    fallbacks: list[str] = field(default_factory=list)
