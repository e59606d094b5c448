"""Names that people see: a report's short title and the file name of its PDF."""

import re

MAX_TITLE = 120
_MAX_SLUG = 60


def short_title(text: str) -> str:
    """Return the first line of a text on one line, at most 120 characters."""
    line = " ".join(text.strip().partition("\n")[0].split())
    return line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1].rstrip() + "…"


def pdf_filename(title: str) -> str:
    """Return a file name for a title: letters and digits of any script joined by hyphens, `report.pdf` for none."""
    slug = "-".join(re.findall(r"\w+", title.lower().replace("_", " ")))
    if len(slug) > _MAX_SLUG:
        slug = slug[:_MAX_SLUG].rpartition("-")[0] or slug[:_MAX_SLUG]
    return f"{slug or 'report'}.pdf"
