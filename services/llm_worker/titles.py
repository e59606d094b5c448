"""The title of an answer, for screens and file names."""

import re

MAX_TITLE = 120

_ATX = re.compile(r"^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
_MARKUP = re.compile(r"[*_`]|\[([^\]]*)\]\([^)]*\)")


def title_of(markdown: str) -> str:
    """Return the first heading as plain text, else the first line that is not blank; at most 120 characters."""
    heading = _ATX.search(markdown)
    line = heading.group(1) if heading else next((line for line in markdown.splitlines() if line.strip()), "")
    title = " ".join(_MARKUP.sub(lambda match: match.group(1) or "", line).split())
    return title if len(title) <= MAX_TITLE else title[: MAX_TITLE - 1].rstrip() + "…"
