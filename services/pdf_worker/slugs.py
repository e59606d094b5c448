"""Names of headings, as GitHub makes them."""

import re


class Slugs:
    """Hands out names, each once: `methods`, `methods-1`."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def name(self, title: str) -> str:
        """The name of a heading with this title."""
        base = re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        name, count = base, 0
        while name in self._taken:
            count += 1
            name = f"{base}-{count}"
        self._taken.add(name)
        return name
