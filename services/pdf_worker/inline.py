"""Inline Markdown as styled runs of text."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import unquote

from markdown_it.token import Token

from services.pdf_worker.atoms import Inline, Span
from services.pdf_worker.styles import ACCENT, MUTED, PANEL, Font, Style

CITATION = re.compile(r"(\[\d{1,3}(?:\s*[,;\u2013-]\s*\d{1,3})*\])")
EXTERNAL = ("http://", "https://", "mailto:")
LINKED = (*EXTERNAL, "#")
"""What a link may lead to. A relative address leads nowhere from a PDF: its text is coloured as a link, no more."""

LINE_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
SPACES = re.compile("[\n\x0b\x0c\r\x1c-\x1e\x85\u2028\u2029]")


@dataclass
class InlineContext:
    """What inline text can refer to.

    Attributes:
        sources: Numbers of the source list, for citations such as `[3]`.
        notes: Footnote id to the number printed for it.
        printed: Addresses that already stand in the document in full.
        formula: Sets maths inline; `None` when it cannot be set.
        picture: Opens an image inline; `None` when the service does not hold it.
        breaks_in_cells: Take `<br>` as a line break: in a table cell Markdown has no other.
    """

    sources: frozenset[int]
    notes: dict[int, int]
    formula: Callable[[str, Style, bool], Inline | None]
    picture: Callable[[Token, Style], Inline | None]
    printed: set[str] = field(default_factory=set)
    breaks_in_cells: bool = False


def spans(tokens: Sequence[Token], style: Style, context: InlineContext) -> list[Span]:
    """Turn inline tokens into spans."""
    found: list[Span] = []
    stack = [style]
    links: list[tuple[str, int]] = []
    for token in tokens:
        current = stack[-1]
        match token.type:
            case "text" | "text_special":
                found.extend(_text(token.content, current, context))
            case "softbreak":
                found.append(Span(" ", current))
            case "hardbreak":
                found.append(Span("\n", current))
            case "strong_open":
                stack.append(replace(current, font=current.font._replace(bold=True)))
            case "em_open":
                stack.append(replace(current, font=current.font._replace(italic=True)))
            case "s_open":
                stack.append(replace(current, strike=True))
            case "link_open":
                address = str(token.attrs.get("href", ""))
                target = address if address.startswith(LINKED) else ""
                links.append((address, len(found)))
                stack.append(replace(current, link=target, color=ACCENT))
            case "strong_close" | "em_close" | "s_close":
                stack.pop()
            case "link_close":
                stack.pop()
                address, start = links.pop()
                found.extend(_address(address, found[start:], stack[-1], context))
            case "code_inline":
                found.append(Span(SPACES.sub(" ", token.content), _code(current)))
            case "html_inline":
                if context.breaks_in_cells and LINE_BREAK.fullmatch(token.content):
                    found.append(Span("\n", current))
                else:
                    plain = replace(current, font=Font(True), size=current.size * 0.9, color=MUTED)
                    found.append(Span(SPACES.sub(" ", token.content), plain))
            case "image":
                found.extend(_image(token, current, context))
            case "math_inline" | "math_inline_double":
                found.append(_maths(token, current, context))
            case "footnote_ref":
                found.append(_note(token, current, context))
            case "footnote_anchor":
                pass
            case _:
                found.append(Span(SPACES.sub(" ", token.content), current))
    return found


def plain(tokens: Sequence[Token]) -> str:
    """The words alone, for bookmarks, titles and alternative texts."""
    parts = []
    for token in tokens:
        if token.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif token.type == "image":
            parts.append(plain(token.children or []))
        elif token.type not in ("footnote_ref", "footnote_anchor"):
            parts.append(token.content)
    return " ".join("".join(parts).split())


def _text(text: str, style: Style, context: InlineContext) -> list[Span]:
    text = SPACES.sub(" ", text)
    if "[" not in text or not context.sources:
        return [Span(text, style)] if text else []
    found = []
    for part in CITATION.split(text):
        numbers = [int(number) for number in re.findall(r"\d+", part)] if CITATION.fullmatch(part) else []
        if numbers and all(number in context.sources for number in numbers):
            link = style.link or f"#source-{numbers[0]}"
            found.append(Span(part, _raised(style, link)))
        elif part:
            found.append(Span(part, style))
    return found


def _raised(style: Style, link: str) -> Style:
    return replace(style, size=style.size * 0.72, rise=style.size * 0.34, color=ACCENT, link=link)


def _code(style: Style) -> Style:
    font = Font(True, style.font.bold, style.font.italic)
    return replace(style, font=font, size=style.size * 0.9, panel=PANEL if not style.panel else style.panel)


def shown(address: str) -> str:
    """An address as it is printed: without the scheme that everybody knows."""
    short = re.sub(r"^(https?://(www\.)?|mailto:)", "", address)
    return short.removesuffix("/") or address


def _address(address: str, text: list[Span], style: Style, context: InlineContext) -> list[Span]:
    """The address after a link's text, where it is not the text already and has not been printed before."""
    written = "".join(span.text for span in text).strip()
    if not address.startswith(EXTERNAL) or address in context.printed:
        return []
    context.printed.add(address)
    if shown(address) == shown(written) or unquote(address) == unquote(written):
        return []
    quiet = replace(style, size=style.size * 0.82, color=MUTED, link=address, rise=0.0)
    return [Span(" ", style), Span(f"({shown(address)})", quiet)]


def _image(token: Token, style: Style, context: InlineContext) -> list[Span]:
    picture = context.picture(token, style)
    if picture is not None:
        return [Span("", style, inline=picture)]
    address = str(token.attrs.get("src", ""))
    title = str(token.attrs.get("title", "") or "")
    quiet = replace(style, color=MUTED, font=style.font._replace(italic=True))
    found = [Span("[Image: ", quiet), *spans(token.children or [], quiet, context)]
    if title:
        found.append(Span(f" \u2013 {SPACES.sub(' ', title)}", quiet))
    found.append(Span("]", quiet))
    if address.startswith("data:"):
        address = address[:32] + "\u2026"
    if address:
        found.append(Span(f" ({shown(address)})", replace(quiet, size=style.size * 0.82, font=style.font)))
    return found


def _maths(token: Token, style: Style, context: InlineContext) -> Span:
    formula = context.formula(token.content, style, token.type == "math_inline_double")
    if formula is None:
        sign = "$$" if token.type == "math_inline_double" else "$"
        return Span(SPACES.sub(" ", f"{sign}{token.content}{sign}"), _code(style))
    return Span("", style, inline=formula)


def _note(token: Token, style: Style, context: InlineContext) -> Span:
    number = context.notes.setdefault(token.meta["id"], token.meta["id"] + 1)
    return Span(str(number), _raised(style, f"#note-{number}"), notes=(str(number),))
