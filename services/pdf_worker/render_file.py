"""Render a Markdown file to PDF from the command line; nothing else of the service is needed.

python -m services.pdf_worker.render_file report.md -o report.pdf
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from services.contracts.reports import Paper
from services.pdf_worker.document import DocumentInfo, Rendered, render
from services.pdf_worker.limits import DocumentError

EXAMPLES = """examples:
  python -m services.pdf_worker.render_file notes.md
  python -m services.pdf_worker.render_file notes.md -o out/notes.pdf --paper letter --language en-US
  python -m services.pdf_worker.render_file bericht.md --language de --title "Der Bericht"

Pictures are drawn if they are data URIs; a file or address that the text names is shown, not opened."""


def render_file(
    source: Path, target: Path, *, paper: Paper = Paper.A4, language: str = "en", title: str = ""
) -> Rendered:
    """Render `source` to `target`.

    Args:
        source: A Markdown file in UTF-8; its time of change becomes the date on the cover, so that the same file gives
            the same PDF.
        target: The PDF; its folder is made if need be.
        paper: Page size.
        language: BCP 47 tag.
        title: Title on the cover; empty for the first heading.

    Raises:
        OSError: A file cannot be read or written.
        DocumentError: The document passes a limit.
    """
    changed = datetime.fromtimestamp(source.stat().st_mtime, UTC)
    info = DocumentInfo(title=title, created_at=changed.isoformat(timespec="seconds"), language=language, paper=paper)
    rendered = render(source.read_text(encoding="utf-8-sig", errors="replace"), info)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(rendered.pdf)
    return rendered


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code: 0 done, 1 the file or the document is at fault."""
    parser = argparse.ArgumentParser(
        prog="render_file",
        description="Render a Markdown file to PDF.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", type=Path, metavar="FILE.md", help="the Markdown file")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.pdf", help="the PDF (default: beside the Markdown file)"
    )
    parser.add_argument(
        "--paper", type=Paper, choices=list(Paper), help="page size (default: letter for en-US, else a4)"
    )
    parser.add_argument(
        "--language", default="en", help="language of the text, such as de or en-US (default: %(default)s)"
    )
    parser.add_argument("--title", default="", help="title on the cover (default: the first heading)")
    given = parser.parse_args(arguments)
    target = given.output or given.source.with_suffix(".pdf")
    paper = given.paper or (Paper.LETTER if given.language.lower() == "en-us" else Paper.A4)
    try:
        rendered = render_file(given.source, target, paper=paper, language=given.language, title=given.title)
    except (OSError, DocumentError) as error:
        sys.stderr.write(f"{given.source}: {error}\n")
        return 1
    for sentence in rendered.fallbacks:
        sys.stderr.write(f"note: {sentence}\n")
    sys.stdout.write(
        f"{target}: {rendered.pages} page{'s' if rendered.pages != 1 else ''}, {len(rendered.pdf):,} bytes\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
