"""A report of any length, as a model writes them: prose, lists, tables, code, quotes. The same seed, the same text."""

import random

WORDS = [
    "the",
    "tardigrade",
    "survives",
    "drying",
    "freezing",
    "vacuum",
    "and",
    "radiation",
    "because",
    "its",
    "cells",
    "form",
    "a",
    "glass",
    "of",
    "disordered",
    "proteins",
    "while",
    "metabolism",
    "stops",
    "almost",
    "entirely;",
    "measurements",
    "from",
    "several",
    "laboratories",
    "suggest",
    "that",
    "trehalose",
    "matters",
    "less",
    "than",
    "was",
    "thought",
    "and",
    "that",
    "repair",
    "after",
    "rehydration",
    "matters",
    "more",
    "than",
    "protection",
    "before",
    "it",
    "although",
    "neither",
    "mechanism",
    "alone",
    "explains",
    "how",
    "animals",
    "kept",
    "for",
    "thirty",
    "years",
    "in",
    "a",
    "freezer",
    "began",
    "to",
    "move",
    "again",
    "within",
    "a",
    "day",
    "of",
    "being",
    "thawed",
    "in",
    "ordinary",
    "tap",
    "water",
]

CODE = '''```python
def survival(samples: list[Sample], threshold: float = 0.95) -> float:
    """Share of animals that move again within a day."""
    alive = [s for s in samples if s.moved_after_hours <= 24]
    if not samples:
        raise ValueError("no samples")  # an empty list is a bug of the caller
    return len(alive) / len(samples)
```'''


def document(sections: int, seed: int = 7) -> str:
    """Markdown of `sections` sections, each about one and a half pages of A4."""
    random_ = random.Random(seed)  # noqa: S311 - text, not secrets

    def sentence() -> str:
        words = [random_.choice(WORDS) for _ in range(random_.randint(9, 22))]
        words[random_.randrange(len(words))] = random_.choice(
            ("**glass**", "*in vitro*", "`CAHS`", "[Dsup](https://example.org/dsup)", "12.5 %")
        )
        return " ".join(words).capitalize() + "."

    def paragraph() -> str:
        return " ".join(sentence() for _ in range(random_.randint(4, 7)))

    parts = ["# A Long Report on Small Animals"]
    for number in range(1, sections + 1):
        parts += [
            f"## {number}. Findings of group {number}",
            paragraph(),
            paragraph(),
            f"### {number}.1 Method",
            paragraph(),
        ]
        parts.append("\n".join(f"- {sentence()}" for _ in range(4)))
        rows = [
            f"| Sample {row} | {random_.uniform(-196, 95):.1f} | {random_.randint(1, 40)} | {sentence()} |"
            for row in range(6)
        ]
        parts.append("\n".join(["| Sample | Temperature | Animals | Remark |", "|:--|--:|--:|:--|", *rows]))
        parts += [paragraph(), CODE, f"### {number}.2 Discussion", paragraph(), f"> {sentence()}", paragraph()]
        parts.append("\n".join(f"{step}. {sentence()}" for step in range(1, 4)))
    return "\n\n".join(parts) + "\n"
