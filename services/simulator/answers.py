"""The simulated report: the same text for the same prompt, of an exact number of tokens.

A token is a piece of the text: up to six ASCII characters with the space before them, a run of line breaks or spaces,
or any other single code point. So tokens joined are the text, a code point is never cut, a grapheme (an emoji of
several code points, a letter with a combining accent) often is, and a text cut between two tokens has the same tokens
on both sides of the cut.
"""

import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle
from typing import TypeVar

from services.simulator import prose

TOKEN = re.compile(r"\n+| ?[!-~]{1,6}| +|.", re.DOTALL)

T = TypeVar("T")

PREFIX_REST_TOKENS = 50
"""The least that follows a prefix which this simulator did not write."""


def split_tokens(text: str) -> list[str]:
    """Split a text into tokens."""
    return TOKEN.findall(text)


@dataclass(frozen=True)
class Answer:
    """An answer, ready to be streamed.

    Attributes:
        text: The whole text.
        encoded: Its tokens, each as a JSON string.
    """

    text: str
    encoded: tuple[bytes, ...]

    @classmethod
    def of(cls, text: str) -> "Answer":
        """Make an answer of a text."""
        return cls(text, tuple(json.dumps(token, ensure_ascii=False).encode() for token in split_tokens(text)))

    def cut(self, tokens: int) -> "Answer":
        """Return the first so many tokens."""
        if tokens >= len(self.encoded):
            return self
        return Answer("".join(split_tokens(self.text)[:tokens]), self.encoded[:tokens])


@lru_cache(maxsize=64)
def report(subject: str, topic: str, tokens: int, variant: int = 0) -> Answer:
    """Write a report.

    Args:
        subject: The prompt; decides the text.
        topic: The title.
        tokens: Exact length.
        variant: Which of the possible reports on this prompt.
    """
    return Answer.of(_compose(_Writer(f"{variant}:{subject}", topic), tokens))


def continuation(subject: str, topic: str, tokens: int, prefix: str, overlap: int, variants: int) -> Answer:
    """Continue a text: where a report begins with it, with the rest of that report, else with a new paragraph.

    Args:
        subject: The prompt.
        topic: The title.
        tokens: Length of the whole report.
        prefix: What there is of it.
        overlap: Characters of the prefix to repeat.
        variants: How many reports on this prompt the prefix may come from.
    """
    for variant in range(variants):
        text = report(subject, topic, tokens, variant).text
        if text.startswith(prefix):
            return Answer.of(text[max(0, len(prefix) - overlap) :])
    writer = _Writer(prefix + subject, topic)
    rest = max(PREFIX_REST_TOKENS, tokens - len(split_tokens(prefix)))
    return Answer.of("\n\n" + writer.filled([], rest - 1))


def _compose(writer: "_Writer", tokens: int) -> str:
    sources = writer.sources()
    head = [f"# {writer.topic}", prose.NOTICE, f"## Summary\n\n{writer.paragraph(3)} {prose.TERMS}"]
    tail = len(split_tokens(sources)) + 1
    if tokens < len(split_tokens("\n\n".join(head))) + 2 + tail:
        return "".join(split_tokens("\n\n".join([*head, sources]))[:tokens])
    return writer.filled(head, tokens - tail) + "\n\n" + sources


class _Writer:
    """Draws sentences from the stock of `prose`, seeded by the prompt."""

    def __init__(self, seed: str, topic: str) -> None:
        self._random = random.Random(hashlib.sha256(seed.encode()).digest())  # noqa: S311 - repeatable, not secret
        self.topic = topic
        # In a sentence the topic stands as a noun: what a long one is about, where it says so.
        about = re.search(r"\b(?:about|on|of|regarding) ([^.?!,;:]{3,40})[.?!]?$", topic)
        fits = len(topic) <= 40 and not topic.endswith(("?", "!", "."))
        self._subject = topic if fits else about[1] if about else "this question"
        self._headings: list[str] = []
        self._number_of_sources = self._random.randint(3, 5)

    def filled(self, blocks: list[str], tokens: int) -> str:
        """Add blocks for as long as they fit, then sentences of known lengths up to exactly `tokens`."""
        blocks = list(blocks)
        used = len(split_tokens("\n\n".join(blocks)))
        makers = (self.section, self.findings, self.table, self.quotation, self.section, self.code)
        for maker in cycle(makers):
            block = maker()
            added = len(split_tokens(block)) + bool(blocks)
            if used + added + 2 > tokens:  # 2: at least a line break and a word are to follow
                break
            used += added
            blocks.append(block)
        used += bool(blocks)
        closing = []
        while used < tokens:
            sentence = self._random.choice(prose.FILLERS[: tokens - used])
            used += sentence.count(" ") + 1
            closing.append(sentence)
        return "\n\n".join([*blocks, " ".join(closing)])

    def section(self) -> str:
        return f"## {self._heading()}\n\n{self.paragraph(3)}\n\n{self.paragraph(2)}"

    def paragraph(self, sentences: int) -> str:
        return " ".join(self._sentence(opener) for opener in self._random.sample(prose.OPENERS, sentences))

    def findings(self) -> str:
        lines = [f"### Findings on {self._subject}", ""]
        for number, finding in enumerate(self._random.sample(prose.FINDINGS, 3), 1):
            lines.append(f"{number}. {finding}: {self._fill(self._pick(prose.DETAILS))} {self._cite()}")
            lines += [f"   - {self._fill(detail)}" for detail in self._random.sample(prose.DETAILS, 2)]
        return "\n".join(lines)

    def table(self) -> str:
        year = self._random.randint(1990, 2020)
        lines = [f"| Measure | {year} | {year + 5} | Change |", "|:--|--:|--:|:-:|"]
        for measure in self._random.sample(prose.MEASURES, 4):
            before, after = self._random.randint(10, 90), self._random.randint(10, 90)
            lines.append(f"| {measure} | {before} % | {after} % | {after - before:+d} |")
        return "\n".join(lines)

    def quotation(self) -> str:
        return f"> {self._pick(prose.QUOTATIONS)}\n>\n> — *{self._pick(prose.SPEAKERS)}* {self._cite()}"

    def code(self) -> str:
        language, code = self._pick(prose.CODE)
        return f"The figures above were filtered as follows:\n\n```{language}\n{self._fill(code)}\n```"

    def sources(self) -> str:
        lines = ["## Sources", ""]
        numbers = range(1, self._number_of_sources + 1)
        lines.extend(f"{number}. {self._fill(self._pick(prose.SOURCES))}" for number in numbers)
        return "\n".join(lines)

    def _sentence(self, opener: str) -> str:
        claim = self._fill(self._pick(prose.CLAIMS))
        return f"{self._fill(opener)}{self._pick(prose.LINKS)}{claim} {self._cite()}."

    def _heading(self) -> str:
        if not self._headings:
            self._headings = self._random.sample(prose.SECTIONS, len(prose.SECTIONS))
        return self._headings.pop()

    def _cite(self) -> str:
        return f"[{self._random.randint(1, self._number_of_sources)}]"

    def _pick(self, stock: Sequence[T]) -> T:
        return self._random.choice(stock)

    def _fill(self, template: str) -> str:
        return template.format(
            topic=self._subject,
            name=self._pick(prose.SPEAKERS),
            adjective=self._pick(prose.ADJECTIVES),
            n=self._random.randint(2, 9),
            m=self._random.randint(10, 49),
            z=self._random.randint(50, 99),
            p=self._random.randint(5, 60),
            year=self._random.randint(1975, 2024),
        )
