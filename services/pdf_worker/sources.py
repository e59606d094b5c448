"""Finding a document's list of sources, so that citations such as `[3]` can lead to it."""

import re
from collections.abc import Sequence

from services.pdf_worker.inline import plain
from services.pdf_worker.markdown import Node

SOURCES = re.compile(
    r"^\W*(?:\d+\W+)?(sources?|references?|bibliography|works cited|citations|further reading|quellen(verzeichnis)?|literatur(verzeichnis)?|fuentes|referencias|bibliograf[i\u00ed]a|r[e\u00e9]f[e\u00e9]rences|sources citées|fonti|refer[e\u00ea]ncias|bronnen"
    r"|источники|литература|\u03c0\u03b7\u03b3\u03ad\u03c2|\u05de\u05e7\u05d5\u05e8\u05d5\u05ea|\u0627\u0644\u0645\u0635\u0627\u062f\u0631|\u0627\u0644\u0645\u0631\u0627\u062c\u0639|\u0938\u094d\u0930\u094b\u0924|\u0938\u0902\u0926\u0930\u094d\u092d"
    r"|\u0e41\u0e2b\u0e25\u0e48\u0e07\u0e17\u0e35\u0e48\u0e21\u0e32|\u0e2d\u0e49\u0e32\u0e07\u0e2d\u0e34\u0e07|\u53c2\u8003\u6587\u732e|\u53c3\u8003\u6587\u737b|\u6765\u6e90|\u4f86\u6e90|\u51fa\u5178|\u53c2\u8003\u8cc7\u6599|\ucd9c\ucc98|\ucc38\uace0\s*\ubb38\ud5cc)\W*$",
    re.IGNORECASE,
)
NUMBERED = re.compile(r"\[(\d{1,3})\]")


def mark_sources(nodes: Sequence[Node]) -> tuple[frozenset[int], set[str]]:
    """Mark the entries of source lists.

    Each entry's token gets `meta["source"]`, its number.

    Returns:
        The numbers there are, and the addresses that the lists hold.
    """
    numbers: set[int] = set()
    addresses: set[str] = set()
    level = 0
    for node in nodes:
        if node.kind == "heading":
            own = int(node.token.tag[1])
            if SOURCES.match(plain(node.inline)):
                level = own
            elif own <= level:
                level = 0
        elif level:
            _entries(node, numbers)
            for inner in node.walk():
                addresses |= {str(token.attrs["href"]) for token in inner.inline if token.type == "link_open"}
    return frozenset(numbers), addresses if numbers else set()


def _entries(node: Node, numbers: set[int]) -> None:
    if node.kind == "ordered_list":
        start = int(node.token.attrs.get("start", 1))
        for index, item in enumerate(node.children):
            _mark(item, start + index, numbers)
    elif node.kind == "bullet_list":
        for item in node.children:
            first = next((child for child in item.children if child.inline), None)
            found = NUMBERED.match(first.text) if first is not None else None
            if found:
                _mark(item, int(found[1]), numbers)
    elif node.kind == "paragraph":
        found = NUMBERED.match(node.text)
        if found:
            _mark(node, int(found[1]), numbers)


def _mark(node: Node, number: int, numbers: set[int]) -> None:
    if number not in numbers:
        node.token.meta = {**node.token.meta, "source": number}
        numbers.add(number)
