"""The words that simulated reports are made of."""

# ruff: noqa: RUF001 - typographic characters are here on purpose: an answer has to test more than ASCII

NOTICE = (
    "> **Simulated report.** No language model was asked: Tardigrade’s provider simulator made this text up from the "
    "prompt, and none of it is true. Set `LLM_API_KEY` for research by a real model."
)

TERMS = (
    "The subject goes by many names: a *naïve* reader meets it as *Überblick* in German, *étude* in French, "
    "調査報告 in Japanese, 研究报告 in Chinese, 연구 in Korean, *исследование* in Russian and *έρευνα* in Greek; "
    "a decomposed *re\u0301sume\u0301* and a scientist at work 👩‍🔬 count as well."
)

SECTIONS = (
    "Background",
    "What the evidence shows",
    "Methods and their limits",
    "Points of dispute",
    "Costs and consequences",
    "Examples from practice",
    "Open questions",
    "A look ahead",
    "Lessons for practitioners",
    "History in brief",
)

OPENERS = (
    "Early work on {topic} was largely descriptive",
    "Most accounts of {topic} begin with a single observation",
    "Seen from a distance, {topic} looks simpler than it is",
    "Three groups have studied {topic} independently",
    "Few subjects have been reviewed as often as {topic}",
    "The literature on {topic} is uneven",
    "What makes {topic} hard to pin down is its scale",
)

CLAIMS = (
    "the effect holds in {n} of {m} settings that were examined",
    "a difference of about {p} % remains after correction",
    "later measurements narrowed the range to {n}–{m} units",
    "the {adjective} reading has gained ground since {year}",
    "no {adjective} explanation covers all {m} cases",
    "the {adjective} sample of {year} is still the largest",
    "replication succeeded {n} times and failed once",
    "the cost fell by {p} % between {year} and today",
)

LINKS = (
    "; ",
    ", although ",
    ", and ",
    ", because ",
    " — ",
    ", whereas ",
)

ADJECTIVES = ("cautious", "broad", "statistical", "mechanistic", "local", "historical", "practical", "combined")

FINDINGS = (
    "**Robustness** is higher than expected",
    "**Scale** matters more than *method*",
    "**Cost** is dominated by a few `outliers`",
    "**Timing** explains most of the variance",
    "**Agreement** between observers is good",
    "**Transfer** to other settings is unproven",
)

DETAILS = (
    "confirmed by {n} independent groups",
    "weaker where fewer than {m} samples exist",
    "disputed since {year}",
    "about {p} % of the total",
    "see the table for the numbers",
    "measured twice, with the same outcome",
)

MEASURES = ("Coverage", "Accuracy", "Latency", "Cost per case", "Reach", "Stability", "Yield")

QUOTATIONS = (
    "What survives is not the strongest account but the one that was written down in time.",
    "A result that cannot be repeated is a story; a result that is never written up is a rumour.",
    "We counted everything twice, and were surprised only by what we had not thought to count.",
    "The answer was there from the start. What it lacked was a place to be kept.",
)

SPEAKERS = ("A. Müller", "J. García", "Łucja Nowak", "O’Brien", "S. Ångström", "N. Dvořák")

CODE = (
    (
        "python",
        (
            "def retained(samples: list[float], threshold: float = {p} / 100) -> list[float]:\n"
            '    """Keep the samples that pass; `<`, `&` and `{{}}` are text here."""\n'
            "    return [sample for sample in samples if sample >= threshold]"
        ),
    ),
    (
        "sql",
        "SELECT setting, COUNT(*) AS cases FROM observations\nWHERE year >= {year} AND score > {n} GROUP BY setting;",
    ),
    ("sh", 'for step in $(seq 1 {n}); do\n    echo "measuring $step of {n}" && sleep 1\ndone'),
)

SOURCES = (
    "{name}: *On {topic}*. Imaginary Press, {year}.",
    "{name} et al.: “A second look at the evidence”, *Journal of Simulated Results* {n} ({year}), pp. {m}–{z}.",
    "{name} (ed.): *Handbook of Invented Findings*, edition {n}, {year}.",
    "{name}: “Notes from the field”, {year}, <https://example.org/notes/{m}>.",
    "{name}: [Data set {m}](https://example.org/data/{m}), version {n}.",
)

FILLERS = (
    "Noted.",
    "So far.",
    "More may come.",
    "This much is clear.",
    "The rest is left open.",
    "It is a start, not more.",
    "Much of it is yet to come.",
    "All of it can be done again soon.",
)
"""Sentences of one to eight words of at most six characters, so of one to eight tokens: they fill an answer up to the
length that was asked for."""
