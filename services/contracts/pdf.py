"""The payloads of making a PDF."""

from dataclasses import dataclass, field

from services.contracts.reports import ObjectRef, Paper, Spend


@dataclass(frozen=True)
class PDFGenerationInput:
    """What a PDF is made from. The same input gives the same bytes.

    Attributes:
        content: The ledger's register object in the bucket, whose JSON has the answer as `text`.
        filename: Name offered to a person who downloads it, such as `how-tardigrades-survive.pdf`.
        title: Title on the cover.
        prompt: The question that the report answers.
        model: The model that wrote it.
        created_at: RFC 3339 time of the workflow's start: the date on the cover.
        language: BCP 47 tag.
        paper: Page size.
        spend: What the research came to; kept in `report.json`.
        warnings: What is known so far; kept in `report.json`.
        inline: The register's JSON, if it could not be recorded yet: to be recorded under `content` first.
    """

    content: ObjectRef
    filename: str
    title: str = ""
    prompt: str = ""
    model: str = ""
    created_at: str = ""
    language: str = "en"
    paper: Paper = Paper.A4
    spend: Spend = field(default_factory=Spend)
    warnings: list[str] = field(default_factory=list)
    inline: str | None = None


@dataclass(frozen=True)
class PDFGenerationOutput:
    """What was stored.

    Attributes:
        pdf: `reports/<workflow id>/report.pdf`.
        markdown: `reports/<workflow id>/report.md`.
        pages: Pages of the PDF.
        bytes: Size of the PDF in bytes.
        fallbacks: One sentence for each block that could not be laid out and was set as plain text.
    """

    pdf: ObjectRef
    markdown: ObjectRef
    pages: int
    bytes: int
    fallbacks: list[str] = field(default_factory=list)
