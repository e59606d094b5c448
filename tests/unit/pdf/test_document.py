"""The document as a whole: cover, contents, bookmarks, links, notes, metadata, the same bytes every time."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

from services.contracts.reports import Paper
from services.pdf_worker.document import DocumentInfo, render
from services.pdf_worker.pdf_file import PACKED_TOGETHER
from services.pdf_worker.render_file import main
from tests.unit.pdf.reading import missing_words, pdfium_text, squeezed

GALLERY = sorted((Path(__file__).parents[2] / "fixtures" / "gallery").glob("*.md"))
INFO = DocumentInfo(
    title="",
    prompt="How do tardigrades survive?",
    model="openai/gpt-4o",
    report_id="report-1",
    created_at="2026-11-23T09:30:00+01:00",
    keywords=("tardigrades", "survival"),
)
LONG = "# The Title\n\n" + "".join(
    f"## Part {number}\n\n" + "Words for the page. " * 150 + "\n\n### Detail\n\nMore.\n\n" for number in range(8)
)


def reader(pdf: bytes) -> Any:
    """pypdf's objects are looked up like the PDF's own dictionaries, which its types do not say."""
    return PdfReader(io.BytesIO(pdf), strict=True)


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_gallery_renders_without_fallback(path: Path) -> None:
    rendered = render(path.read_text(encoding="utf-8"), DocumentInfo(title=""))
    assert rendered.fallbacks == []
    assert len(reader(rendered.pdf).pages) == rendered.pages


def test_title_comes_from_the_argument_the_heading_or_the_prompt() -> None:
    for info, text, expected in (
        (DocumentInfo(title="Given"), "# Heading\n\ntext", "Given"),
        (DocumentInfo(title=""), "# Heading *slanted*\n\ntext", "Heading slanted"),
        (DocumentInfo(title="", prompt="A question?"), "text", "A question?"),
    ):
        pdf = render(text, info).pdf
        metadata = reader(pdf).metadata
        assert metadata is not None
        assert metadata.title == expected
        assert missing_words(expected.split(), pdfium_text(pdf)) == []


def test_the_heading_on_the_cover_is_not_repeated() -> None:
    assert squeezed(pdfium_text(render("# Unique Heading\n\ntext", INFO).pdf)).count("UniqueHeading") == 1
    assert (
        squeezed(pdfium_text(render("# Unique Heading\n\ntext", DocumentInfo(title="Unique Heading")).pdf)).count(
            "UniqueHeading"
        )
        == 1
    )


def test_metadata_and_language() -> None:
    document = reader(render("# T\n\ntext", INFO).pdf)
    metadata = document.metadata
    assert metadata is not None
    assert (metadata.title, metadata.author, metadata.subject) == ("T", "openai/gpt-4o", "How do tardigrades survive?")
    assert metadata["/Keywords"] == "tardigrades, survival"
    assert metadata["/CreationDate"] == "D:20261123083000+00'00'"
    root = document.trailer["/Root"]
    assert root["/Lang"] == "en"
    assert root["/ViewerPreferences"]["/DisplayDocTitle"].value is True
    assert b"<dc:title>" in root["/Metadata"].get_data()
    assert document.page_labels[0] == "1"


@pytest.mark.parametrize(("paper", "size"), [(Paper.A4, (595, 842)), (Paper.LETTER, (612, 792))])
def test_paper(paper: Paper, size: tuple[int, int]) -> None:
    box = reader(render("text", DocumentInfo(title="", paper=paper)).pdf).pages[0].mediabox
    assert (round(box.width), round(box.height)) == size


def test_long_documents_have_contents_with_the_right_pages_and_bookmarks() -> None:
    document = reader(render(LONG, INFO).pdf)
    pages = [squeezed(page.extract_text()) for page in document.pages]
    assert "Contents" in pages[0]
    outline = [entry for entry in document.outline if not isinstance(entry, list)]
    assert [entry.title for entry in outline] == [f"Part {number}" for number in range(8)]
    for number, entry in enumerate(outline):
        page = document.get_destination_page_number(entry)
        assert page is not None
        assert f"Part{number}" in pages[page]
        dotted = pages[0].partition(f"Part{number}")[2]
        assert dotted.startswith(str(page + 1))


def test_short_documents_have_no_contents() -> None:
    assert "Contents" not in pdfium_text(render("# T\n\n## a\n\n## b\n\n## c\n\n## d\n\ntext", INFO).pdf)


def test_pages_say_which_they_are() -> None:
    document = reader(render(LONG, INFO).pdf)
    total = len(document.pages)
    for number, page in enumerate(document.pages, 1):
        assert f"Page{number}of{total}" in squeezed(page.extract_text())


def test_internal_links_and_citations_lead_to_their_places() -> None:
    text = (
        "See [below](#the-end) and a claim [2].\n\n"
        + "Filler.\n\n" * 80
        + "## The End\n\n## Sources\n\n1. First.\n2. Second.\n"
    )
    document = reader(render(text, INFO).pdf)
    last = document.pages[-1].indirect_reference
    targets = [link.get_object()["/Dest"][0] for link in document.pages[0]["/Annots"]]
    assert len(document.pages) > 1
    assert [target.idnum for target in targets] == [last.idnum, last.idnum] if last else False


def test_a_number_in_brackets_without_a_source_list_is_text() -> None:
    document = reader(render("An array a[1] and a claim [2].", INFO).pdf)
    assert "/Annots" not in document.pages[0]


def test_addresses_are_printed_once() -> None:
    text = (
        "[a](https://example.org/long/path) and [again](https://example.org/long/path) and <https://example.org/bare>."
    )
    found = pdfium_text(render(text, INFO).pdf)
    assert found.count("example.org/long/path") == 1
    assert found.count("example.org/bare") == 1


def test_footnotes_stand_on_the_page_that_calls_them() -> None:
    text = "".join(
        f"Paragraph {number}.[^{number}]\n\n" + "filler words " * 120 + "\n\n" for number in range(12)
    ) + "".join(f"[^{number}]: Note{number}here.\n" for number in range(12))
    document = reader(render(text, DocumentInfo(title="")).pdf)
    pages = [squeezed(page.extract_text()) for page in document.pages]
    for number in range(12):
        [page] = [page for page in pages if f"Note{number}here" in page]
        assert f"Paragraph{number}." in page


def test_a_heading_stays_with_what_follows() -> None:
    for filler in range(36, 50):
        document = reader(
            render("line\n\n" * filler + "## Heading\n\nFollowing paragraph.", DocumentInfo(title="")).pdf
        )
        for page in document.pages:
            text = squeezed(page.extract_text())
            assert ("Heading" in text) == ("Followingparagraph." in text)


def test_table_heads_repeat_and_rows_are_complete() -> None:
    text = "| Number | Square |\n|--:|--:|\n" + "".join(
        f"| n{number} | s{number * number} |\n" for number in range(200)
    )
    document = reader(render(text, DocumentInfo(title="")).pdf)
    assert len(document.pages) > 3
    for page in document.pages:
        assert page.extract_text().count("Square") == 1
    everything = squeezed("".join(page.extract_text() for page in document.pages))
    assert all(f"n{number}s{number * number}" in everything for number in range(200))


def test_a_table_too_wide_repeats_its_first_column() -> None:
    heads = [f"Column{number:02d}" for number in range(40)]
    text = f"| {' | '.join(heads)} |\n|{'---|' * 40}\n| {' | '.join(f'value{number:02d}' for number in range(40))} |\n"
    found = pdfium_text(render(text, DocumentInfo(title="")).pdf)
    assert all(found.count(head) == 1 for head in heads[1:])
    assert all(found.count(f"value{number:02d}") == 1 for number in range(1, 40))
    assert found.count("Column00") == found.count("value00") > 2


def test_a_row_taller_than_a_page_goes_on() -> None:
    words = [f"w{number}" for number in range(3_000)]
    rendered = render(f"| a | b |\n|---|---|\n| x | {' '.join(words)} |\n", DocumentInfo(title=""))
    assert rendered.pages > 2
    assert missing_words(words, pdfium_text(rendered.pdf)) == []


def test_every_script_is_drawn_by_a_font_that_has_it() -> None:
    text = "Latin Ελληνικά Кириллица עברית العربية देवनागरी ภาษาไทย 中文 日本語 한국어 😀 ∀→∑"
    document = reader(render(text, DocumentInfo(title="")).pdf)
    fonts = document.pages[0]["/Resources"]["/Font"]
    names = {str(font.get_object()["/BaseFont"]).partition("+")[2] for font in fonts.values()}
    for expected in (
        "NotoSans",
        "NotoSansHebrew",
        "NotoSansArabic",
        "NotoSansDevanagari",
        "NotoSansThai",
        "DroidSansFallback",
        "NotoEmoji",
    ):
        assert any(name.startswith(expected) for name in names)
    assert "\ufffd" not in pdfium_text(render(text, DocumentInfo(title="")).pdf)
    for font in fonts.values():
        descendant = font.get_object()["/DescendantFonts"][0].get_object()
        assert "/FontFile2" in descendant["/FontDescriptor"]


def test_a_character_that_no_font_has_is_seen_and_copied() -> None:
    assert "\U00012000" in pdfium_text(render("cuneiform \U00012000 sign", DocumentInfo(title="")).pdf)


SAME = """
import hashlib, sys
from services.pdf_worker.document import DocumentInfo, render
text = open(sys.argv[1], encoding="utf-8").read()
print(hashlib.sha256(render(text, DocumentInfo(title="", created_at="2026-01-02T03:04:05Z")).pdf).hexdigest())
"""


@pytest.mark.parametrize("name", ["research-report", "maths", "emoji", "arabic"])
def test_the_same_bytes_in_every_process(name: str) -> None:
    [path] = [path for path in GALLERY if path.stem == name]
    digests = set()
    for seed, extra in (("0", {}), ("1", {"TZ": "Asia/Tokyo"}), ("4242", {"SOURCE_DATE_EPOCH": "1", "LC_ALL": "C"})):
        environment = {**os.environ, "PYTHONHASHSEED": seed, **extra}
        done = subprocess.run(
            [sys.executable, "-c", SAME, str(path)], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout.strip())
    assert len(digests) == 1


def test_earlier_documents_leave_no_trace() -> None:
    text = "# A\n\n$x$ [l](https://example.org) text[^1]\n\n[^1]: note\n"
    first = render(text, INFO).pdf
    render("# B\n\nother *words* 中文\n", INFO)
    assert render(text, INFO).pdf == first


def test_the_file_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "notes.md"
    source.write_text("# Notes\n\ntext", encoding="utf-8")
    assert main([str(source)]) == 0
    assert (tmp_path / "notes.pdf").read_bytes().startswith(b"%PDF-1.7")
    assert "1 page," in capsys.readouterr().out
    assert main([str(tmp_path / "missing.md")]) == 1
    assert "missing.md" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("language", "word"), [("de", "Donaudampfschifffahrtsgesellschaft "), ("en", "internationalization ")]
)
def test_hyphens_of_the_layout_are_soft(language: str, word: str) -> None:
    found = pdfium_text(render(word * 60, DocumentInfo(title="", language=language)).pdf)
    assert missing_words([word.strip()] * 60, found.replace("\ufffe", "").replace("\x02", "")) == []


def test_the_structure_tree_says_what_everything_is() -> None:
    text = (
        "## Skips a level\n\nText with a [link](https://example.org)[^1].\n\n#### Deeper\n\n- item\n\n> quote\n\n"
        "| a | b |\n|---|---|\n| c |  |\n\n```\ncode\n```\n\n$$x^2$$\n\n[^1]: note\n"
    )
    document = reader(render(text, DocumentInfo(title="")).pdf)
    root = document.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"].value is True
    found = list(elements(root["/StructTreeRoot"]["/K"].get_object()))
    tags = [tag for tag, _ in found]
    for expected in ("H1", "H2", "P", "Link", "L", "LI", "Lbl", "LBody", "BlockQuote", "Table", "TH", "Code", "Note"):
        assert f"/{expected}" in tags
    assert tags.count("/TD") == 2  # the empty cell too
    assert [element["/Alt"] for tag, element in found if tag == "/Formula"] == ["x^2"]


def test_small_objects_are_packed_and_all_are_found() -> None:
    pdf = render(LONG + "[words](#part-1) and [more](https://example.org)\n\n" * 200, INFO).pdf
    document = reader(pdf)
    size = document.trailer["/Size"]
    assert size > 2 * PACKED_TOGETHER
    assert all(document.get_object(number) is not None for number in range(1, size))
    assert pdf.count(b"endobj\n") == pdf.count(b"endstream\nendobj\n") < size / 10
    tree = document.trailer["/Root"]["/StructTreeRoot"]
    leads_back = iter(tree["/ParentTree"]["/Nums"])
    parents = {int(key): value.get_object() for key, value in zip(leads_back, leads_back, strict=True)}
    links = [link.get_object() for page in document.pages for link in page.get("/Annots", [])]
    assert len(links) >= 400
    for link in links:
        element = parents[link["/StructParent"]]
        kids = element["/K"] if isinstance(element["/K"], list) else [element["/K"]]
        assert link in [kid["/Obj"] for kid in kids if isinstance(kid, dict) and "/Obj" in kid]


def elements(element: Any) -> Iterator[tuple[str, Any]]:
    yield str(element["/S"]), element
    kids = element.get("/K", [])
    for kid in kids if isinstance(kids, list) else [kids]:
        inner = kid.get_object() if hasattr(kid, "get_object") else kid
        if isinstance(inner, dict) and "/S" in inner:
            yield from elements(inner)


def test_notes_that_only_notes_call_are_set() -> None:
    text = "Text.[^a]\n\n[^a]: Outer.[^b]\n[^b]: Inner.\n[^c]: Lonely.[^c]\n"
    found = squeezed(pdfium_text(render(text, DocumentInfo(title="")).pdf))
    assert all(found.count(word) == 1 for word in ("Outer.", "Inner.", "Lonely."))


def test_an_address_of_the_source_list_is_printed_there_alone() -> None:
    text = "As [they](https://example.org/study) say [1].\n\n## Sources\n\n1. [The study](https://example.org/study)\n"
    found = squeezed(pdfium_text(render(text, DocumentInfo(title="")).pdf))
    assert found.count("example.org/study") == 1
    assert found.index("Sources") < found.index("example.org/study")


def test_what_cannot_be_laid_out_is_set_as_plain_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """No text is known that does this; should one be found, its report still becomes a PDF."""

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("services.pdf_worker.blocks.table_items", fails)
    rendered = render("Before.\n\n| a | b |\n|---|---|\n| c | d |\n\nAfter.", INFO)
    assert rendered.fallbacks == [
        "The table at line 3 could not be laid out (ZeroDivisionError) and was set as plain text."
    ]
    assert missing_words(["Before.", "|a|b|", "|c|d|", "After."], pdfium_text(rendered.pdf)) == []
    monkeypatch.setattr("services.pdf_worker.document._Document._body", fails)
    whole = render("# Title\n\nAll *words* stay.", INFO)
    assert whole.fallbacks == ["The document could not be laid out (ZeroDivisionError) and was set as plain text."]
    assert whole.pages == 1
