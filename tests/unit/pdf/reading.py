"""Reading PDFs back in tests: with poppler where it is installed, else with PDFium."""

import re
import shutil
import subprocess
import unicodedata
from html.parser import HTMLParser

import pypdfium2

PDFTOTEXT = shutil.which("pdftotext")

BIDI_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")
"""Poppler adds these around right-to-left text."""


def poppler_text(pdf: bytes, *, raw: bool = False) -> str:
    """The text as `pdftotext` extracts it."""
    assert PDFTOTEXT is not None
    command = [PDFTOTEXT, "-enc", "UTF-8", *(["-raw"] if raw else []), "-", "-"]
    return subprocess.run(command, input=pdf, capture_output=True, check=True).stdout.decode()


def pdfium_text(pdf: bytes) -> str:
    """The text as PDFium, the engine of Chromium's reader, extracts it."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return "\n".join(page.get_textpage().get_text_range() for page in document)
    finally:
        document.close()


def text_of(pdf: bytes) -> str:
    """The text of a PDF: by poppler if it is there."""
    return poppler_text(pdf) if PDFTOTEXT else pdfium_text(pdf)


def squeezed(text: str) -> str:
    """Without white space, soft hyphens and bidirectional marks, in one Unicode form.

    Lines break inside long words, so words are compared in the text without its spaces.
    """
    return "".join(
        unicodedata.normalize("NFKC", BIDI_MARKS.sub("", text).replace("\u00ad", "").replace("\u2010", "-")).split()
    )


def missing_words(words: list[str], text: str) -> list[str]:
    """The words not found in the text, in order."""
    haystack = squeezed(text)
    position = 0
    missing = []
    for word in words:
        needle = squeezed(word)
        found = haystack.find(needle, position)
        if found < 0:
            missing.append(word)
        else:
            position = found + len(needle)
    return missing


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 - what the base class calls
        if tag not in ("em", "strong", "a", "code", "del", "s", "sup"):
            self.parts.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self.handle_starttag(tag, [])


def html_words(html: str) -> list[str]:
    """The words that a reader of the HTML sees."""
    parser = _Text()
    parser.feed(html)
    parser.close()
    return "".join(parser.parts).split()
