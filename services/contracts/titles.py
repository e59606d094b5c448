"""A report's title on one line, as every screen shows it."""

MAX_TITLE = 120


def short_title(text: str) -> str:
    """Return the first line of a text on one line, at most 120 characters."""
    line = " ".join(text.strip().partition("\n")[0].split())
    return line if len(line) <= MAX_TITLE else line[: MAX_TITLE - 1].rstrip() + "…"
