"""The payloads of a report, from the prompt to the stored PDF."""

from dataclasses import dataclass, field
from enum import StrEnum

MAX_PROMPT_CHARACTERS = 32_000
"""Prompts ride in workflow history; this keeps the worst one under 128 KiB of UTF-8, far from Temporal's 2 MB limit."""

DEFAULT_PROMPT = "Give me 5 fun and fascinating facts about tardigrades. Make them interesting and educational!"
"""Taken when a person who is asked for a topic just presses Enter."""


class Paper(StrEnum):
    """Page sizes of the PDF."""

    A4 = "a4"
    LETTER = "letter"


class Stage(StrEnum):
    """Where a report is. The values are shown to people."""

    QUEUED = "queued"
    RESEARCH = "research"
    PAUSE = "pause"
    PDF = "pdf"
    DONE = "done"


@dataclass(frozen=True)
class ObjectRef:
    """One object in the bucket, checked on reading.

    Attributes:
        key: The object's key.
        sha256: Hex digest of its bytes.
        size: Length in bytes.
    """

    key: str
    sha256: str
    size: int


@dataclass(frozen=True)
class GenerateReportInput:
    """What a report is made from.

    Attributes:
        prompt: The topic or question, 1 to 32,000 characters.
        model: litellm's name of the model, such as `openai/gpt-4o`. Empty: the LLM worker's `LLM_MODEL`.
        pause_seconds: A durable pause between research and PDF, so that a demonstration has time to kill a worker.
        language: BCP 47 tag of the report's language; sets hyphenation and the PDF's document language.
        paper: Page size. `None`: letter for `en-US`, A4 for everything else.
        max_cost_usd: The most this report may spend at the provider, in US dollars. `None`: the service's default.
        max_tokens: The most tokens, input and output together, that it may be billed. `None`: the service's default.
    """

    prompt: str
    model: str = ""
    pause_seconds: float = 0
    language: str = "en"
    paper: Paper | None = None
    max_cost_usd: float | None = None
    max_tokens: int | None = None


@dataclass(frozen=True)
class Spend:
    """What a report's calls of the model came to.

    Attributes:
        calls: Calls of the model that ended.
        input_tokens: Tokens billed as input, thrown-away attempts included.
        output_tokens: Tokens billed as output, thrown-away attempts included.
        wasted_tokens: Of both, those paid for and thrown away.
        saved_tokens: Tokens that adopting or resuming a recorded answer did not buy again.
        cost_usd: US dollars; `None` where the model's price is unknown.
        outcomes: How each call ended (`bought`, `adopted`, `resumed`, `rebought`), with its count.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    wasted_tokens: int = 0
    saved_tokens: int = 0
    cost_usd: float | None = 0.0
    outcomes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class GenerateReportOutput:
    """What came of a report.

    Attributes:
        result: A sentence for people, beginning "Successfully created research report PDF:".
        pdf: The PDF.
        markdown: The research as the model wrote it.
        pages: Pages of the PDF.
        spend: What the model's calls came to.
        warnings: What a reader should know: a cut-off answer, a block set as plain text.
    """

    result: str
    pdf: ObjectRef | None = None
    markdown: ObjectRef | None = None
    pages: int = 0
    spend: Spend = field(default_factory=Spend)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ReportProgress:
    """The answer of the workflow's `progress` query.

    Attributes:
        stage: Where the report is.
        title: The report's title, known once the research is there; before that, the start of the prompt.
        spend: What has been spent so far.
        warnings: As in `GenerateReportOutput`.
    """

    stage: Stage
    title: str
    spend: Spend = field(default_factory=Spend)
    warnings: list[str] = field(default_factory=list)
