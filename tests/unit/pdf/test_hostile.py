"""Text from strangers: published attacks on reportlab by name, files and addresses, documents out of all proportion."""

import base64
import io
import random
import struct
import zlib

import pytest
from PIL import Image
from pypdf import PdfReader

from services.pdf_worker.document import DocumentInfo, render
from services.pdf_worker.limits import DocumentError, Limits
from tests.unit.pdf.reading import missing_words, pdfium_text, squeezed
from tests.unit.pdf.watching import watched

PLAIN = DocumentInfo(title="")

PAYLOADS = {
    "CVE-2023-33733": (
        "<para><font color=\"[ [ getattr(pow,Word('__globals__'))['os'].system('touch /tmp/exploited') for Word in "
        "[orgTypeFun('Word', (str,), { 'mutated': 1, 'startswith': lambda self, x: False, "
        "'__eq__': lambda self,x: self.mutate() and self.mutated < 0 and str(self) == x })] ] "
        "for orgTypeFun in [type(type(1))] ] and 'red'\">exploit</font></para>"
    ),
    "CVE-2023-33733 in attributes": "<para bgcolor=\"[[[getattr(pow, '__globals__')]]]\">text</para>",
    "CVE-2020-28463": '<img src="http://127.0.0.1:9/ssrf.png" width="1" height="1" valign="top"/> and ![x](http://127.0.0.1:9/ssrf.png)',
    "CVE-2020-28463 by file": '<img src="/etc/passwd"/> ![x](file:///etc/passwd) ![z](../../../etc/passwd)',
    "CVE-2019-19450": "<para><unichar code=\"__import__('os').system('touch /tmp/exploited')\"/></para>",
    "CVE-2019-17626": "<span color=\"__import__('os').system('touch /tmp/exploited')\">text</span>",
    "colour tricks": '[[[__import__("os").getcwd()]]] {{7*7}} ${7*7} <font color="[[[1]]]">a</font>',
    "backslashes": "\\\\server\\share\\file \\x41 \\u0041 \\\\\\",
    "svg": '<svg onload="alert(1)"><image href="file:///etc/passwd"/></svg> ![s](data:image/svg+xml;base64,PHN2Zy8+)',
    "link schemes": "[a](javascript:alert(1)) [b](file:///etc/passwd) [c](data:text/html,x) [d](vbscript:x) <file:///etc/passwd>",
    "pdf syntax": ") Tj ET Q endstream endobj (%PDF-1.7) <</JavaScript (app.alert\\(1\\))>> /Launch",
    "reportlab markup": '<para alignment="center"><b>bold <i>both</b></i> <a href="x">a</a> <onDraw name="x"/> &nbsp;',
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_published_attacks_are_shown_as_text(name: str) -> None:
    text = PAYLOADS[name]
    with watched() as seen:
        rendered = render(
            f"Before.\n\n{text}\n\nAfter.",
            DocumentInfo(title=text, prompt=text, model=text, report_id=text, keywords=(text,)),
        )
    assert seen == []
    assert missing_words(["Before.", "After."], pdfium_text(rendered.pdf)) == []
    actions = _actions(rendered.pdf)
    assert all(action.startswith(("http://", "https://", "mailto:")) for action in actions)


def _actions(pdf: bytes) -> list[str]:
    found = []
    for page in PdfReader(io.BytesIO(pdf)).pages:
        for reference in page.get("/Annots", []):
            action = reference.get_object().get("/A")
            if action is not None:
                assert action["/S"] == "/URI"
                found.append(str(action["/URI"]))
    return found


@pytest.mark.parametrize(
    "markup",
    ["x<y", "<para>nested", "<b>unclosed", "List<String> and Vec<u8>", "AT&T & R&D", "a &lt; b", "<br/>", "5 < 6 > 4"],
)
def test_what_reportlab_loses_or_refuses_is_kept(markup: str) -> None:
    text = squeezed(pdfium_text(render(markup, PLAIN).pdf))
    assert squeezed(markup.replace("&lt;", "<")) in text


def test_only_safe_addresses_are_links() -> None:
    text = "[a](javascript:alert(1)) [b](https://example.org/ok) [c](relative) [d](ftp://example.org) <mailto:a@b.org>"
    assert _actions(render(text, PLAIN).pdf) == ["https://example.org/ok", "https://example.org/ok", "mailto:a@b.org"]


def test_a_text_too_long_is_refused_with_the_limit_in_the_message() -> None:
    with pytest.raises(DocumentError, match=r"11 characters, more than the 10 "):
        render("x" * 11, PLAIN, limits=Limits(characters=10))


def test_too_many_pages_are_refused() -> None:
    with pytest.raises(DocumentError, match="more than 3 pages"):
        render("word\n\n" * 500, PLAIN, limits=Limits(pages=3))


@pytest.mark.parametrize("mark", ["> ", "- ", "1. ", "> - "])
def test_deep_nesting_is_set_as_plain_text_with_every_word(mark: str) -> None:
    rendered = render(mark * 400 + "deepest words", PLAIN)
    assert len(rendered.fallbacks) == 1
    assert "nested" in rendered.fallbacks[0]
    assert missing_words(["deepest", "words"], pdfium_text(rendered.pdf)) == []


def test_lists_within_the_limit_stay_lists() -> None:
    text = "".join("  " * depth + f"- level{depth}\n" for depth in range(25))
    rendered = render(text, PLAIN)
    assert rendered.fallbacks == []
    assert missing_words([f"level{depth}" for depth in range(25)], pdfium_text(rendered.pdf)) == []


def test_a_table_of_too_many_cells_is_set_as_plain_text() -> None:
    text = "|a|b|\n|-|-|\n" + "|c|d|\n" * 60
    rendered = render(text, PLAIN, limits=Limits(table_cells=100))
    assert "61 rows and 2 columns" in rendered.fallbacks[0]
    assert pdfium_text(rendered.pdf).count("c") == 60


def _png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(b"\0" * 64))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_png(60_000, 60_000), "pixels"),
        (_png(1_000, 1_000), "truncated|broken"),
        (b"not a picture", "no PNG"),
        (b"\x89PNG\r\n\x1a\n", "no PNG"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_described(data: bytes, reason: str) -> None:
    address = "data:image/png;base64," + base64.b64encode(data).decode()
    rendered = render(f"![the description]({address})", PLAIN)
    assert len(rendered.fallbacks) == 1
    assert "image was shown as text" in rendered.fallbacks[0]
    assert any(word in rendered.fallbacks[0] for word in reason.split("|"))
    assert missing_words(["the", "description"], pdfium_text(rendered.pdf)) == []


def test_pictures_are_drawn_from_bytes_that_are_held() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(buffer, "PNG")
    held = {"https://example.org/chart.png": buffer.getvalue()}
    rendered = render('![A chart](https://example.org/chart.png "Figure 1")', PLAIN, images=held)
    page = PdfReader(io.BytesIO(rendered.pdf)).pages[0]
    assert [(image.image.width, image.image.height) for image in page.images if image.image] == [(40, 30)]
    assert missing_words(["Figure", "1"], pdfium_text(rendered.pdf)) == []


@pytest.mark.parametrize(
    "text",
    [
        "x" * 200_000,
        "\u0645" * 50_000,
        "a\u0301" * 20_000,
        "e" + "\u0301" * 5_000,
        "*" * 20_000,
        "[" * 20_000,
        "`" * 20_000,
        "<" * 20_000,
        "|" * 3_000 + "\n" + "|-" * 3_000,
        "[a](" * 5_000,
        "!" * 10_000 + "[",
        "$" * 5_000,
        "\\" * 20_000,
        "&" * 20_000,
        "\n" * 50_000,
        "- \n" * 3_000,
        "# \n" * 3_000,
        "[^1]" * 3_000 + "\n\n[^1]: note",
        "\u202e\u2066" * 5_000 + "text",
        "\0\x01\x1b\x7f\x80\ufffe\uffff\ud800",
        "[x]: y\n" * 3_000,
    ],
    ids=lambda text: ascii(text[:12]),
)
def test_pathological_text_becomes_a_pdf(text: str) -> None:
    assert render(text, PLAIN).pages >= 1


def test_broken_formulas_stay_text() -> None:
    for source in (
        "\\frac{1}{",
        "{" * 500,
        "\\" * 99,
        "\\left(" * 200,
        "^" * 50,
        "\\begin{matrix}",
        "\\href{file:///etc/passwd}{x}",
        "\\input{/etc/passwd}",
    ):
        with watched() as seen:
            assert render(f"a ${source}$ b", PLAIN).pages == 1
        assert seen == []


def test_random_bytes_as_text() -> None:
    generator = random.Random(3)  # noqa: S311 - noise, not secrets
    for _ in range(20):
        text = bytes(generator.randrange(256) for _ in range(600)).decode("latin-1")
        assert render(text, PLAIN).pages >= 1


def test_lone_surrogates_in_what_is_known_about_the_document() -> None:
    bad = "a \ud800 b"
    assert render(bad, DocumentInfo(bad, bad, bad, bad, bad, bad, "en", keywords=(bad,))).pages == 1


@pytest.mark.parametrize("language", ["", "xx", "en-US", "zh-Hant-TW", "../../etc", "\0", "a" * 500])
def test_any_language_tag(language: str) -> None:
    assert render("Some words \u05d0.", DocumentInfo(title="", language=language)).pages == 1
