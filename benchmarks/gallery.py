"""Render the gallery: every document of `tests/fixtures/gallery` and one of 200 pages, as PDF and as PNG pages.

python -m benchmarks.gallery [FOLDER]
"""

import sys
import time
from pathlib import Path

import pypdfium2

from benchmarks.pdf_document import document
from services.contracts.reports import Paper
from services.pdf_worker.document import DocumentInfo, render

SOURCES = Path(__file__).parents[1] / "tests" / "fixtures" / "gallery"
LANGUAGES = {
    "arabic": "ar",
    "hebrew": "he",
    "hindi": "hi",
    "thai": "th",
    "chinese": "zh",
    "japanese": "ja",
    "korean": "ko",
    "german": "de",
}
LONG_SECTIONS = 118
"""About 200 pages."""

PICTURES_UP_TO = 12
"""Pages of one document that are drawn as PNG; of longer documents the first ones and the last."""

SCALE = 1.4
"""PNG pixels per point: about 100 dpi."""


def main() -> None:
    """Render all, with one line each on standard output."""
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "gallery")
    target.mkdir(parents=True, exist_ok=True)
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SOURCES.glob("*.md"))}
    texts["two-hundred-pages"] = document(LONG_SECTIONS)
    for name, text in texts.items():
        info = DocumentInfo(
            title="",
            model="openai/gpt-4o",
            report_id="report-5a8b2c9d0e1f2a3b4c5d",
            created_at="2026-11-23T09:30:00Z",
            language=LANGUAGES.get(name, "en"),
            paper=Paper.LETTER if name == "emoji" else Paper.A4,
        )
        started = time.perf_counter()
        rendered = render(text, info)
        milliseconds = (time.perf_counter() - started) * 1000
        (target / f"{name}.pdf").write_bytes(rendered.pdf)
        _pictures(target, name, rendered.pdf)
        notes = " ".join(rendered.fallbacks)
        print(f"{name}: {rendered.pages} pages, {milliseconds:.0f} ms, {len(rendered.pdf):,} bytes {notes}")


def _pictures(target: Path, name: str, pdf: bytes) -> None:
    reader = pypdfium2.PdfDocument(pdf)
    count = len(reader)
    for index in range(count):
        if index < PICTURES_UP_TO or index == count - 1:
            reader[index].render(scale=SCALE).to_pil().save(target / f"{name}-{index + 1:03d}.png", optimize=True)
    reader.close()


if __name__ == "__main__":
    main()
