"""The payloads of a call of the language model."""

from dataclasses import dataclass, field
from enum import StrEnum

from services.contracts.reports import ObjectRef, Spend


class Outcome(StrEnum):
    """How a call of the model ended; each call ends in exactly one."""

    BOUGHT = "bought"
    ADOPTED = "adopted"
    RESUMED = "resumed"
    REBOUGHT = "rebought"
    FAILED = "failed"


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: `system`, `user` or `assistant`.
        content: The text.
    """

    role: str
    content: str


@dataclass(frozen=True)
class Budget:
    """What a report may still spend when a call is made.

    Attributes:
        max_cost_usd: Limit of the whole report in US dollars; `None`: the worker's default, which may be none.
        max_tokens: Limit of the whole report in tokens; `None` as above.
        spent_cost_usd: Spent by the report's earlier calls; `None` where a price was unknown.
        spent_tokens: Tokens billed by the report's earlier calls.
    """

    max_cost_usd: float | None = None
    max_tokens: int | None = None
    spent_cost_usd: float | None = 0.0
    spent_tokens: int = 0


@dataclass(frozen=True)
class LLMCallInput:
    """One call of the model.

    The request that is hashed for the ledger is `model`, `messages` and `parameters` as they stand here, before the
    worker fills in its default model: a changed default does not buy a recorded answer again.

    Attributes:
        call_id: Names the call within its workflow, such as `research`; part of the ledger's key.
        messages: The conversation.
        model: litellm's name of the model; empty: the worker's `LLM_MODEL`.
        parameters: Further parameters of the request as litellm takes them (`temperature`, `max_tokens`).
        budget: What the report may still spend.
    """

    call_id: str
    messages: list[Message]
    model: str = ""
    parameters: dict[str, float | int | str | bool] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True)
class Usage:
    """Tokens of one answer, as the provider counted them.

    Attributes:
        input_tokens: Tokens of the request.
        output_tokens: Tokens of the answer.
        estimated: The provider sent no count; these were counted by the worker.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    estimated: bool = False


@dataclass(frozen=True)
class LLMCallOutput:
    """A reference to the recorded answer, and what it cost.

    Attributes:
        answer: The ledger's register object in the bucket, whose JSON has the answer as `text`.
        usage: The answer's own tokens.
        spend: What the call came to with all its attempts.
        outcome: How the call ended.
        model: The model that answered, as the provider names it.
        finish_reason: `stop`, or `length` for an answer that was cut off at the model's limit.
        title: The answer's first heading, or its first words; at most 120 characters.
        inline: The register's JSON, in the one case that the store failed when it was to be recorded. The next step
            that reaches the store records it under `answer`.
    """

    answer: ObjectRef
    usage: Usage
    spend: Spend
    outcome: Outcome
    model: str
    finish_reason: str
    title: str = ""
    inline: str | None = None
