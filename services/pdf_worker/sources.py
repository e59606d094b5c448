"""Finding a document's list of sources, so that citations such as `[3]` can lead to it."""

import re
from collections.abc import Sequence

from services.pdf_worker.inline import plain
from services.pdf_worker.markdown import Node

NAMES = (
    r"sources?|references?|bibliography|works cited|citations|further reading|"
    r"quellen(?:verzeichnis)?|literatur(?:verzeichnis)?|fuentes|referencias|"
    r"bibliograf[ií]a|r[eé]f[eé]rences|sources citées|fonti|refer[eê]ncias|bronnen|"
    r"источники|литература|πηγές|מקורות|المصادر|المراجع|स्रोत|संदर्भ|แหล่งที่มา|อ้างอิง|"
    r"参考文献|參考文獻|来源|來源|出典|参考資料|출처|참고\s*문헌"
)
"""What models call their list of sources."""

SOURCES = re.compile(rf"^\W*(?:\d+\W+)?(?:{NAMES})\W*$", re.IGNORECASE)
NUMBERED = re.compile(r"\[(\d{1,3})\]")


def mark_sources(nodes: Sequence[Node]) -> tuple[frozenset[int], set[str]]:
    """Mark the entries of source lists.

    Each entry's token gets `meta["source"]`, its number; the blocks of the list get `meta["sources"]`.

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
            node.token.meta = {**node.token.meta, "sources": True}
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
