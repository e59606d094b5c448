"""Cutting the vertical list into pages, and drawing them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from services.pdf_worker.items import Item, Panel, TableHead
from services.pdf_worker.limits import DocumentError
from services.pdf_worker.lines import Line
from services.pdf_worker.pen import ARTIFACT, Pen
from services.pdf_worker.styles import MARGIN_BOTTOM, MARGIN_SIDE, MARGIN_TOP, RULE

NOTE_GAP = 14.0
"""Above the footnotes of a page, with the short rule in its middle."""

MAX_NOTES = 0.45
"""Footnotes take at most this part of a page; what is left over goes on at the foot of the next."""


@dataclass
class Page:
    """One page: items with the y of their top, from the page's top."""

    items: list[tuple[Item, float]] = field(default_factory=list)
    notes: list[tuple[Item, float]] = field(default_factory=list)
    repeated: list[tuple[Item, float]] = field(default_factory=list)


class _Cutter:
    def __init__(self, height: float, notes: Mapping[str, list[Item]], max_pages: int) -> None:
        self.height = height
        self.bottom = height - MARGIN_BOTTOM
        self.notes = notes
        self.max_pages = max_pages
        self.pages: list[Page] = []
        self.waiting: list[Item] = []
        self.placed_notes: set[str] = set()
        self.own_notes: list[Item] = []
        self.used_notes = 0.0
        self.y = 0.0
        self.new_page()

    def new_page(self) -> None:
        if self.pages:
            self._set_notes()
        if len(self.pages) >= self.max_pages:
            raise DocumentError(
                f"the document needs more than {self.max_pages} pages, the most that one report may have: "
                "ask for a shorter report or split it into several"
            )
        self.pages.append(Page())
        self.y = MARGIN_TOP
        waiting, self.waiting = self.waiting, []
        self.own_notes, self.used_notes = [], 0.0
        self._add_notes(waiting)

    def _set_notes(self) -> None:
        y = self.bottom - sum(item.height for item in self.own_notes)
        for item in self.own_notes:
            self.pages[-1].notes.append((item, y))
            y += item.height

    def _add_notes(self, items: list[Item]) -> None:
        limit = (self.bottom - MARGIN_TOP) * MAX_NOTES
        for index, item in enumerate(items):
            fits = (
                self.used_notes + item.height <= limit
                and self.y + self.used_notes + item.height + NOTE_GAP <= self.bottom
            )
            if (
                self.waiting
                or (self.own_notes and not fits)
                or item.height + NOTE_GAP > self.bottom - self.y - self.used_notes
            ):
                self.waiting.extend(items[index:])
                return
            self.own_notes.append(item)
            self.used_notes += item.height

    def room(self, extra: float = 0.0) -> float:
        reserved = self.used_notes + extra
        return self.bottom - (reserved + NOTE_GAP if reserved else 0.0) - self.y

    def note_height(self, group: list[Item]) -> float:
        wanted = [item for key in self._new_notes(group) for item in self.notes.get(key, [])]
        limit = (self.bottom - MARGIN_TOP) * MAX_NOTES - self.used_notes
        return min(sum(item.height for item in wanted), max(limit, 0.0))

    def _new_notes(self, group: list[Item]) -> list[str]:
        keys = (key for item in group for key in item.notes)
        return [key for key in dict.fromkeys(keys) if key not in self.placed_notes]

    def put(self, item: Item) -> None:
        page = self.pages[-1]
        if item.glue and not page.items:
            return
        page.items.append((item, self.y))
        self.y += item.height
        self._call(self._new_notes([item]))

    def _call(self, keys: list[str]) -> None:
        """Set the notes that are called, and those that they call."""
        while keys:
            key = keys.pop(0)
            if key not in self.placed_notes:
                self.placed_notes.add(key)
                own = self.notes.get(key, [])
                self._add_notes(own)
                keys.extend(self._new_notes(own))

    def head(self, head: TableHead | None) -> None:
        if head is None or self.pages[-1].items:
            return
        for item in head.items:
            self.pages[-1].repeated.append((item, self.y))
            self.y += item.height

    def group(self, group: list[Item]) -> None:
        height = sum(item.height for item in group)
        if height > self.room(self.note_height(group)) and self.pages[-1].items:
            if height <= (self.bottom - MARGIN_TOP) * 0.7 or len(group) == 1:
                self.new_page()
            else:
                for item in group:
                    self.single(item)
                return
        if height > self.bottom - MARGIN_TOP and len(group) > 1:
            for item in group:
                self.single(item)
            return
        self.head(next((item.head for item in group if not item.glue), None))
        for item in group:
            self.put(item)

    def single(self, item: Item) -> None:
        if item.height > self.room() and self.pages[-1].items:
            self.new_page()
        self.head(item.head)
        self.put(item)

    def finish(self) -> list[Page]:
        # A note that only itself calls is text all the same.
        self._call(list(self.notes))
        while self.waiting:
            self.new_page()
        self._set_notes()
        if len(self.pages) > 1 and not self.pages[-1].items and not self.pages[-1].notes:
            self.pages.pop()
        return self.pages


BREAK = Item(0.0)
"""In a list of items: go on with a new page."""


def paginate(items: list[Item], height: float, notes: Mapping[str, list[Item]], max_pages: int) -> list[Page]:
    """Cut items into pages.

    Args:
        items: The document, top to bottom.
        height: Of the page in points.
        notes: Footnotes by key; each is set at the foot of the page that calls it first.
        max_pages: The most pages.

    Raises:
        DocumentError: More than `max_pages` are needed.
    """
    cutter = _Cutter(height, notes, max_pages)
    group: list[Item] = []
    for item in items:
        if item is BREAK:
            if group:
                cutter.group(group)
                group = []
            if cutter.pages[-1].items:
                cutter.new_page()
            continue
        if group and not (item.stick or group[-1].keep):
            cutter.group(group)
            group = []
        group.append(item)
    if group:
        cutter.group(group)
    return cutter.finish()


def draw_page(pen: Pen, page: Page, on_item: Callable[[Item, float], None]) -> None:
    """Draw one page's panels, items and footnotes.

    Args:
        pen: Has the page started.
        page: The page.
        on_item: Called with each item and its y before it is drawn.
    """
    everything = page.repeated + page.items
    _panels(pen, everything)
    for item, y in page.repeated:
        _parts(pen, item, y, artifact=True)
    for item, y in page.items:
        on_item(item, y)
        _parts(pen, item, y, artifact=False)
    if page.notes:
        pen.rule(MARGIN_SIDE, page.notes[0][1] - NOTE_GAP / 2, 72.0, RULE)
        for item, y in page.notes:
            on_item(item, y)
            _parts(pen, item, y, artifact=False)


def _parts(pen: Pen, item: Item, y: float, *, artifact: bool) -> None:
    for part in item.parts:
        element = ARTIFACT if artifact else part.element
        if isinstance(part.thing, Line):
            pen.line(part.thing, part.x, y + part.y, element)
        else:
            part.thing.draw(pen, part.x, y + part.y, element)


def _panels(pen: Pen, items: list[tuple[Item, float]]) -> None:
    # A panel may end in empty space at the foot of a page; only what is not glue stretches it.
    extents: dict[Panel, tuple[float, float]] = {}
    for item, y in items:
        for panel in item.panels:
            top, bottom = extents.get(panel, (y, y))
            extents[panel] = (top, bottom if item.glue else y + item.height)
    for panel, (top, bottom) in extents.items():
        if bottom > top:
            panel.draw(pen, top, bottom)
