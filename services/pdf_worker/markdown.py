"""Parsing: CommonMark and GitHub's extensions, footnotes and dollar maths, as a tree of blocks."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from mdit_py_plugins.dollarmath import dollarmath_plugin
from mdit_py_plugins.footnote import footnote_plugin
from mdit_py_plugins.gfm_autolink import gfm_autolink_plugin

from services.pdf_worker.bracket_maths import bracket_maths

MAX_NESTING = 150
"""The parser drops what is nested deeper. `Limits.nesting` is far below, so such a block is set as plain text first."""


@dataclass(eq=False)
class Node:
    """A block of the document.

    Attributes:
        kind: The token's type without `_open`.
        token: The token that opens it.
        children: Blocks in it; for a paragraph or heading none, see `inline`.
        inline: Inline tokens of a paragraph, heading or cell.
    """

    kind: str
    token: Token
    children: list["Node"] = field(default_factory=list)
    inline: list[Token] = field(default_factory=list)

    def walk(self) -> Iterator["Node"]:
        """This block and all in it, in order."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            stack.extend(reversed(node.children))

    @property
    def depth(self) -> int:
        """Levels of blocks below this one."""
        deepest = 0
        stack = [(self, 0)]
        while stack:
            node, level = stack.pop()
            deepest = max(deepest, level)
            stack.extend((child, level + 1) for child in node.children)
        return deepest

    @property
    def first_text(self) -> str:
        """The first words in this block; they tell its direction."""
        return next((inner.text for inner in self.walk() if inner.inline), "")

    @property
    def text(self) -> str:
        """The words of a paragraph, heading or cell, without markup."""
        return "".join(token.content if token.content else " " * token.type.endswith("break") for token in self.inline)


@cache
def parser() -> MarkdownIt:
    """The parser; raw HTML is recognised, so that it can be shown as what it is."""
    return (
        MarkdownIt("gfm-like2", {"linkify": False, "maxNesting": MAX_NESTING})
        .use(gfm_autolink_plugin)
        .use(footnote_plugin)
        .use(dollarmath_plugin, allow_space=False, allow_digits=False, double_inline=True)
        .use(bracket_maths)
    )


def clean(text: str) -> str:
    """The text with lone surrogates, which no file can hold, as replacement signs."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def parse(text: str) -> Node:
    """Parse a document."""
    root = Node("root", Token("root", "", 0))
    open_nodes = [root]
    for token in parser().parse(clean(text)):
        if token.nesting == 1:
            node = Node(token.type.removesuffix("_open"), token)
            open_nodes[-1].children.append(node)
            open_nodes.append(node)
        elif token.nesting == -1:
            open_nodes.pop()
        elif token.type == "inline":
            open_nodes[-1].inline.extend(token.children or [])
        else:
            open_nodes[-1].children.append(Node(token.type, token))
    return root
