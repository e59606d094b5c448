"""Hostile and random Markdown in many scripts: always a PDF, every word in it, nothing opened.

`FUZZ_CASES` sets how many cases are tried: some hundreds by default, thousands in `make fuzz`.
"""

import os
import re
import unicodedata
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.pdf_worker.document import DocumentInfo, render
from services.pdf_worker.markdown import parser
from tests.unit.pdf.reading import PDFTOTEXT, html_words, pdfium_text, poppler_text
from tests.unit.pdf.watching import watched

CASES = int(os.environ.get("FUZZ_CASES", "300"))

WORDS = [
    "glass",
    "tardigrade",
    "AT&T",
    "x<y",
    "naïve",
    "Übung",
    "Łódź",
    "τέχνη",
    "вода",
    "水熊虫",
    "生きる",
    "살아남는",
    "שלום",
    "مرحبا",
    "नमस्ते",
    "क्षेत्र",
    "ภาษาไทย",
    "😀",
    "👩\u200d💻",
    "∑",
    "→",
    "½",
    "[1]",
    "[^n]",
    "$5",
    "$x^2$",
    "http://127.0.0.1/x",
    "file:///etc/passwd",
    "![i](http://127.0.0.1/p.png)",
    "<img/src=/etc/passwd>",
    "<b>bold</b>",
    "<para>",
    "</para>",
    '<font\xa0color="[[[1]]]">',
    "**strong**",
    "*slant*",
    "~~gone~~",
    "`code`",
    "\\*literal\\*",
    "&amp;",
    "&copy;",
    "www.example.org",
    "a@b.org",
    "<https://example.org>",
    "[[[x]]]",
    "{{x}}",
    "${x}",
    "%s",
    "\\\\",
]
BLOCKS = (
    "# ",
    "###### ",
    "> ",
    "- ",
    "1. ",
    "99) ",
    "- [x] ",
    "    ",
    "\t",
    "> [!NOTE]\n> ",
    "```\n",
    "~~~python\n",
    "| ",
    "[^n]: ",
    "***\n",
    "$$\n",
    "<div>\n",
    "<!-- ",
    ":--|",
    "=\n",
    "---\n",
    "",
)

NOTE_NUMBERS = re.compile(r'<sup class="footnote-ref">.*?</sup>')
"""The HTML counts the calls of a note (`[1:2]`); that is nobody's text."""

word = st.sampled_from(WORDS) | st.text(max_size=12)
line = st.builds(
    lambda start, words, end: start + " ".join(words) + end,
    st.sampled_from(BLOCKS),
    st.lists(word, max_size=9),
    st.sampled_from(("", "  ", "\\", " |", "\n")),
)
table = st.builds(
    lambda head, rows: "\n".join(
        ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(row) + " |" for row in rows)]
    ),
    st.lists(word, min_size=1, max_size=14),
    st.lists(st.lists(word, max_size=14), max_size=5),
)
nested = st.builds(
    lambda marks, text: "".join(marks) + text, st.lists(st.sampled_from(("> ", "- ", "1. ", "  ")), max_size=40), word
)
soup = st.text(alphabet="*_`[]()<>!#|~$\\-+:.>\n \t&;^1a\u202e\u0301\u200d\ufe0f", max_size=120)
markdown = st.lists(line | table | nested | soup | st.text(max_size=60), max_size=12).map("\n".join)


def letters(text: str) -> Counter[str]:
    """Letters, digits and ideographs, in one Unicode form."""
    return Counter(char for char in unicodedata.normalize("NFKD", text) if unicodedata.category(char)[0] in "LN")


@settings(
    max_examples=CASES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="FUZZ_CASES" not in os.environ,
)
@given(markdown)
def test_any_markdown_becomes_a_pdf_with_every_word(text: str) -> None:
    with watched() as seen:
        rendered = render(text, DocumentInfo(title="", language="en"))
    assert seen == []
    assert rendered.pages >= 1
    html = parser().render(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    expected = letters(" ".join(html_words(NOTE_NUMBERS.sub(" ", html))))
    missing = expected - letters(pdfium_text(rendered.pdf))
    if missing:
        # PDFium loses a character beyond the Basic Multilingual Plane here and there that poppler reads.
        other = letters(poppler_text(rendered.pdf, raw=True)) if PDFTOTEXT else Counter()
        missing = Counter(
            {char: count for char, count in (expected - other).items() if PDFTOTEXT or ord(char) < 0x10000}
        )
    assert not missing
