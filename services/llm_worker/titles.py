"""The title of an answer, for screens and file names."""

import re

from services.contracts.titles import short_title

_ATX = re.compile(r"^ {0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
_MARKUP = re.compile(r"[*_`]|\[([^\]]*)\]\([^)]*\)")


def title_of(markdown: str) -> str:
    """Return the first heading as plain text, else the first line that is not blank; at most 120 characters."""
    heading = _ATX.search(markdown)
    line = heading.group(1) if heading else next((line for line in markdown.splitlines() if line.strip()), "")
    return short_title(_MARKUP.sub(lambda match: match.group(1) or "", line))
