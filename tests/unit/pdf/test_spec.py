"""CommonMark's own examples and GitHub's extensions: each becomes a PDF, without fallback and with every word."""

import json
from pathlib import Path

import pytest

from services.pdf_worker.document import DocumentInfo, render
from tests.unit.pdf.reading import PDFTOTEXT, html_words, missing_words, pdfium_text, poppler_text

FIXTURES = Path(__file__).parents[2] / "fixtures" / "markdown"
COMMONMARK = json.loads((FIXTURES / "commonmark.json").read_text(encoding="utf-8"))
GITHUB = json.loads((FIXTURES / "github.json").read_text(encoding="utf-8"))

GUESSED = {3, 55, 85, 158, 318}
"""Without `-raw`, poppler guesses columns and takes away a hyphen at a line's end. In these five examples that costs a
word (`---a---` becomes `---a--`); in the order of the page's content they are complete."""


def words_missing(html: str, pdf: bytes, *, guess: bool) -> list[str]:
    words = html_words(html)
    if not PDFTOTEXT:
        return missing_words(words, pdfium_text(pdf))
    return missing_words(words, poppler_text(pdf, raw=True)) + (
        missing_words(words, poppler_text(pdf)) if guess else []
    )


@pytest.mark.parametrize("section", sorted({example["section"] for example in COMMONMARK}))
def test_every_commonmark_example_becomes_a_pdf_with_all_its_words(section: str) -> None:
    failures = {}
    for example in COMMONMARK:
        if example["section"] != section:
            continue
        rendered = render(example["markdown"], DocumentInfo(title=""))
        missing = words_missing(example["html"], rendered.pdf, guess=example["example"] not in GUESSED)
        if rendered.fallbacks or missing or rendered.pages != 1:
            failures[example["example"]] = (rendered.fallbacks, missing, rendered.pages)
    assert not failures


def test_the_specification_is_complete() -> None:
    assert [example["example"] for example in COMMONMARK] == list(range(1, 653))


@pytest.mark.parametrize("example", GITHUB, ids=lambda example: example["name"])
def test_github_extensions(example: dict[str, str]) -> None:
    rendered = render(example["markdown"], DocumentInfo(title=""))
    assert rendered.fallbacks == []
    assert words_missing(example["html"], rendered.pdf, guess=False) == []
