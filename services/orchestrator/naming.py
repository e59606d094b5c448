"""The file name of a report's PDF, as a person sees it."""

import re

_MAX_SLUG = 60


def pdf_filename(title: str) -> str:
    """Return a file name for a title: letters and digits of any script joined by hyphens, `report.pdf` for none."""
    slug = "-".join(re.findall(r"\w+", title.lower().replace("_", " ")))
    if len(slug) > _MAX_SLUG:
        slug = slug[:_MAX_SLUG].rpartition("-")[0] or slug[:_MAX_SLUG]
    return f"{slug or 'report'}.pdf"
