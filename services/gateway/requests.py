"""The bodies of requests: what is taken, and what is refused at the door."""

import hashlib
import json
import re
from dataclasses import asdict
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from services.contracts.reports import MAX_PROMPT_CHARACTERS, GenerateReportInput, Paper

MAX_BODY_BYTES = 512 * 1024
"""The longest prompt is 384 KB when each of its characters is escaped as a surrogate pair in JSON."""

MAX_PAUSE_SECONDS = 86_400

# Halves of surrogate pairs too: JSON can spell them, but they are no characters and cannot be written anywhere.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")

_LANGUAGE = re.compile(
    r"(?P<language>[A-Za-z]{2,3})"
    r"(-(?P<script>[A-Za-z]{4}))?"
    r"(-(?P<region>[A-Za-z]{2}|[0-9]{3}))?"
    r"(?P<variants>(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3}))*)"
)


def _prompt(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise ValueError("it is empty; write a topic or a question")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise ValueError(f"it has {len(text):,} characters; {MAX_PROMPT_CHARACTERS:,} are allowed")
    if bad := _CONTROL.search(text):
        raise ValueError(f"it has the control character U+{ord(bad[0]):04X} at position {bad.start()}; remove it")
    return text


def _language(tag: str) -> str:
    """Check a BCP 47 tag and write it as the standard recommends: `en-us` becomes `en-US`."""
    match = _LANGUAGE.fullmatch(tag)
    if match is None or len(tag) > 35:
        raise ValueError("it is not a language tag of BCP 47, such as en, de, pt-BR or zh-Hant")
    parts = [match["language"].lower()]
    if match["script"]:
        parts.append(match["script"].title())
    if match["region"]:
        parts.append(match["region"].upper())
    return "-".join(parts) + match["variants"].lower()


Model = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,199}$",
        description="litellm's name of the model. Without it: the model that the service is set to.",
    ),
]


class CreateReport(BaseModel):
    """A report that is asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[
        str,
        AfterValidator(_prompt),
        Field(description=f"The topic or question, 1 to {MAX_PROMPT_CHARACTERS:,} characters."),
    ]
    model: Model | None = None
    pause_seconds: float = Field(
        default=0.0,
        ge=0,
        le=MAX_PAUSE_SECONDS,
        allow_inf_nan=False,
        description="A durable pause between research and PDF, so that a demonstration has time to kill a worker.",
    )
    language: Annotated[str, AfterValidator(_language), Field(description="BCP 47 tag of the report's language.")] = (
        "en"
    )
    paper: Paper | None = Field(
        default=None, strict=False, description="Page size. Without it: letter for en-US, A4 for everything else."
    )
    max_cost_usd: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="The most the report may spend, in US dollars."
    )
    max_tokens: int | None = Field(
        default=None, gt=0, le=1_000_000_000, description="The most tokens, input and output, it may be billed."
    )

    def to_input(self) -> GenerateReportInput:
        """Return the workflow's input."""
        return GenerateReportInput(
            prompt=self.prompt,
            model=self.model or "",
            pause_seconds=self.pause_seconds,
            language=self.language,
            paper=self.paper,
            max_cost_usd=self.max_cost_usd,
            max_tokens=self.max_tokens,
        )


class RetryReport(BaseModel):
    """How a failed report is to be tried again."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: Model | None = None


def body_sha256(request: GenerateReportInput) -> str:
    """Return what tells two bodies apart: a field left out equals its default, the order of fields is nothing."""
    return hashlib.sha256(json.dumps(asdict(request), sort_keys=True).encode()).hexdigest()
