"""The same report through Tardigrade's renderer, WeasyPrint and fpdf2, each in a process of its own.

    uv run --group bench --extra pdf python -m benchmarks.pdf

One JSON line each. `ms_per_page` is processor time (all three use
one thread), the median of three renderings after a first one of a small document, so that
imports and font files are loaded; `peak_mb` is the process's peak memory, imports included. WeasyPrint and fpdf2 get
the HTML of the same Markdown. The engines set pages differently, hence a figure per page. Then Tardigrade alone at
10, 50 and 200 pages, and where its time goes.
"""

import argparse
import gc
import importlib.util
import json
import re
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks.pdf_document import document

THIRTY_PAGES = 15
"""Sections of the report that is compared: about 30 pages in Tardigrade's layout."""
SIZES = (5, 25, 98)
"""Sections that make about 10, 50 and 200 pages."""
RUNS = 3

CSS = """
@page { size: A4; margin: 27mm 26mm; @bottom-right { content: counter(page) " of " counter(pages); font-size: 8pt } }
body { font: 10pt/1.5 "Noto Sans", sans-serif }
pre { font: 8.4pt/1.42 monospace; background: #f5f7f9; padding: 7pt }
table { border-collapse: collapse; width: 100%; font-size: 9.2pt }
td, th { border-bottom: 0.5pt solid #d1d6de; padding: 4pt 6pt }
h2 { break-after: avoid; bookmark-level: 1 }
"""


def _html(text: str) -> str:
    from markdown_it import MarkdownIt

    return str(MarkdownIt("gfm-like2", {"linkify": False}).render(text))


def _tardigrade() -> Callable[[str], tuple[int, int]]:
    from services.pdf_worker.child import settle
    from services.pdf_worker.document import DocumentInfo, render

    # As in the service's renderer process.
    settle()

    def run(text: str) -> tuple[int, int]:
        rendered = render(text, DocumentInfo(title=""))
        return rendered.pages, len(rendered.pdf)

    return run


def _weasyprint() -> Callable[[str], tuple[int, int]]:
    from weasyprint import CSS as STYLE
    from weasyprint import HTML

    def run(text: str) -> tuple[int, int]:
        laid = HTML(string=f"<html lang=en><body>{_html(text)}</body></html>").render(stylesheets=[STYLE(string=CSS)])
        return len(laid.pages), len(laid.write_pdf())

    return run


def _fpdf2() -> Callable[[str], tuple[int, int]]:
    from fpdf import FPDF

    def run(text: str) -> tuple[int, int]:
        pdf = FPDF(format="A4")
        pdf.add_page()
        pdf.set_font("Helvetica", size=10)
        # fpdf2 refuses marks inside a table's cell; it gets the cells' bare words.
        pdf.write_html(
            re.sub(r"<td[^>]*>(.*?)</td>", lambda cell: f"<td>{re.sub('<[^>]+>', '', cell[1])}</td>", _html(text))
        )
        return pdf.pages_count, len(pdf.output())

    return run


ENGINES = {"tardigrade": _tardigrade, "weasyprint": _weasyprint, "fpdf2": _fpdf2}


def measure(engine: str, sections: int) -> dict[str, object]:
    """Measure one engine in this process."""
    run = ENGINES[engine]()
    run(document(1))
    text = document(sections)
    seconds = []
    pages = size = 0
    for _ in range(RUNS):
        gc.collect()
        started = time.process_time()
        pages, size = run(text)
        seconds.append(time.process_time() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "bench": "pdf",
        "engine": engine,
        "pages": pages,
        "ms_per_page": round(statistics.median(seconds) * 1000 / pages, 2),
        "peak_mb": round(peak, 1),
        "bytes": size,
    }


def profile(sections: int) -> dict[str, object]:
    """Milliseconds of each step of one rendering, by the profiler's cumulative times scaled to the unprofiled whole."""
    import cProfile
    import pstats

    run = _tardigrade()
    run(document(1))
    text = document(sections)
    started = time.process_time()
    pages, _ = run(text)
    whole = (time.process_time() - started) * 1000
    profiler = cProfile.Profile()
    profiler.runcall(run, text)
    table = pstats.Stats(profiler).stats  # type: ignore[attr-defined]
    cumulative = {f"{file.rpartition('/')[2]}:{name}": times[3] for (file, _, name), times in table.items()}
    scale = whole / cumulative["document.py:render"]
    steps = {
        "parse": "markdown.py:parse",
        "shape": "shaping.py:shape",
        "layout": "document.py:_body",
        "paginate": "document.py:_pages",
        "draw": "document.py:_draw",
        "write": "pen.py:finish",
        "fonts": "embed.py:write",
    }
    return {
        "bench": "pdf-profile",
        "pages": pages,
        "ms": round(whole),
        **{step: round(cumulative.get(name, 0.0) * scale) for step, name in steps.items()},
    }


def main() -> None:
    """Run all, or with `--one ENGINE SECTIONS` a single measurement in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=2, metavar=("ENGINE", "SECTIONS"), help=argparse.SUPPRESS)
    parser.add_argument("--profile", type=int, metavar="SECTIONS", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one[0], int(given.one[1]))))
        return
    if given.profile:
        print(json.dumps(profile(given.profile)))
        return
    for engine, sections in [(engine, THIRTY_PAGES) for engine in ENGINES] + [
        ("tardigrade", sections) for sections in SIZES
    ]:
        module = "fpdf" if engine == "fpdf2" else engine
        if engine != "tardigrade" and importlib.util.find_spec(module) is None:
            print(json.dumps({"bench": "pdf", "engine": engine, "skipped": "not installed: uv sync --group bench"}))
            continue
        subprocess.run([sys.executable, "-m", "benchmarks.pdf", "--one", engine, str(sections)], check=True)
        sys.stdout.flush()
    subprocess.run([sys.executable, "-m", "benchmarks.pdf", "--profile", str(THIRTY_PAGES)], check=True)


if __name__ == "__main__":
    main()
