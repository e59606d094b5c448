r"""Maths as many models write it: `\(...\)` in a line, `\[...\]` on its own.

In CommonMark these are escaped brackets, and in most texts they are meant so. They are taken for maths only if they
close and what they hold looks like LaTeX: a command, a power, an index, a relation, a single letter or a number.
"""

import re

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline

CLOSING = {"(": "\\)", "[": "\\]"}
LATEX = re.compile(r"\\[A-Za-z]|[_^{}=<>]|^\s*[A-Za-z]\s*$|^[\d\s+*/().,-]*\d[\d\s+*/().,-]*$")
LONGEST = 2_000
"""Characters between the brackets; keeps the search for the closing one from going over the whole text each time."""


def bracket_maths(parser: MarkdownIt) -> None:
    """Add the rule to a parser."""
    parser.inline.ruler.before("escape", "bracket_maths", _rule)


def _rule(state: StateInline, silent: bool) -> bool:
    start = state.pos
    closing = CLOSING.get(state.src[start + 1 : start + 2])
    if state.src[start] != "\\" or closing is None:
        return False
    end = state.src.find(closing, start + 2, start + 2 + LONGEST)
    if end < 0 or end + 2 > state.posMax:
        return False
    content = state.src[start + 2 : end]
    if not content.strip() or not LATEX.search(content):
        return False
    if not silent:
        token = state.push("math_inline" if closing == "\\)" else "math_inline_double", "math", 0)
        token.content = content
        token.markup = state.src[start : start + 2]
    state.pos = end + 2
    return True
