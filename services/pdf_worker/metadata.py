"""Document information: what a reader's window title, a search index and a screen reader ask for."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from reportlab.pdfbase.pdfdoc import PDFDictionary, PDFName, PDFStream, PDFString

if TYPE_CHECKING:
    from services.pdf_worker.model import DocumentInfo
    from services.pdf_worker.pen import Pen

CREATOR = "Tardigrade"


def write_metadata(pen: "Pen", info: "DocumentInfo", title: str) -> None:
    """Set title, author, subject, keywords, dates and language, in the info dictionary and as XMP."""
    moment = _moment(info.created_at)
    canvas, document = pen.canvas, pen.document
    shown = title or "Report"
    canvas.setTitle(shown)
    canvas.setAuthor(info.model or CREATOR)
    canvas.setSubject(" ".join(info.prompt.split())[:400] or shown)
    canvas.setKeywords(", ".join(info.keywords))
    canvas.setCreator(CREATOR)
    canvas.setProducer(CREATOR)
    document.info._dateFormatter = lambda *_: moment.strftime("D:%Y%m%d%H%M%S+00'00'")
    catalog = document.Catalog
    catalog.Lang = PDFString(info.language)
    canvas.setViewerPreference("DisplayDocTitle", "true")
    canvas.addPageLabel(0, style="ARABIC", start=1)
    if pen.bookmarks:
        canvas.showOutline()
    catalog.Metadata = document.Reference(_xmp(info, shown, moment), "XMP")


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        # A PDF needs a date; without one given, a fixed one keeps the bytes the same.
        return datetime(2000, 1, 1, tzinfo=UTC)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _xmp(info: "DocumentInfo", title: str, moment: datetime) -> PDFStream:
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    keywords = f"<pdf:Keywords>{_text(', '.join(info.keywords))}</pdf:Keywords>" if info.keywords else ""
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
        'xmlns:pdf="http://ns.adobe.com/pdf/1.3/" xmlns:pdfuaid="http://www.aiim.org/pdfua/ns/id/">'
        f'<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{_text(title)}</rdf:li></rdf:Alt></dc:title>'
        f"<dc:creator><rdf:Seq><rdf:li>{_text(info.model or CREATOR)}</rdf:li></rdf:Seq></dc:creator>"
        f"<dc:language><rdf:Bag><rdf:li>{_text(info.language)}</rdf:li></rdf:Bag></dc:language>"
        f"<xmp:CreateDate>{stamp}</xmp:CreateDate><xmp:ModifyDate>{stamp}</xmp:ModifyDate><xmp:CreatorTool>{CREATOR}</xmp:CreatorTool>"
        f"<pdf:Producer>{CREATOR}</pdf:Producer>{keywords}<pdfuaid:part>1</pdfuaid:part>"
        '</rdf:Description></rdf:RDF></x:xmpmeta>\n<?xpacket end="r"?>'
    )
    stream = PDFStream(PDFDictionary({"Type": PDFName("Metadata"), "Subtype": PDFName("XML")}), packet.encode())
    stream.filters = []
    return stream


def _text(text: str) -> str:
    return escape("".join(char for char in text if char >= " " and char not in "\ufffe\uffff"))
