"""What the ledger asks of a provider, and what it gets: pieces of an answer."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from services.contracts.llm import Usage
from services.llm_worker.register import Register


@dataclass(frozen=True, slots=True)
class Piece:
    """What the provider sent: some text, and whatever else became known with it.

    Attributes:
        text: To be appended to the answer.
        response_id: The provider's id of a response that can be fetched later.
        cursor: Sequence number of this piece within that response.
        finish_reason: The answer has ended: `stop` or `length`.
        usage: Tokens of this request, as the provider counted them.
        model: The model that answers.
        replaces: The text is the whole answer, not its continuation.
    """

    text: str = ""
    response_id: str = ""
    cursor: int = -1
    finish_reason: str = ""
    usage: Usage | None = None
    model: str = ""
    replaces: bool = False


@dataclass(frozen=True)
class Resume:
    """How an answer that was cut off goes on.

    Attributes:
        prefix: The text so far, for a provider that continues it; this request is billed.
        response_id: A response that still runs or has ended at the provider; fetching it is free.
        cursor: Sequence number up to which its text is known.
    """

    prefix: str = ""
    response_id: str = ""
    cursor: int = -1

    @property
    def purchase(self) -> bool:
        """Whether going on sends a request that is billed."""
        return not self.response_id


class ResumeRefusedError(Exception):
    """The provider can no longer continue this answer."""


class Provider(Protocol):
    """Where an answer is bought."""

    def resume(self, register: Register) -> Resume | None:
        """Return how to continue the register's text; `None` where that is impossible."""

    def stream(self, resume: Resume | None) -> AsyncGenerator[Piece]:
        """Send the request and yield the answer as it arrives; closing the generator closes the provider's stream.

        Raises:
            CallError: The provider failed or refused.
            ResumeRefusedError: It refused to continue.
        """

    def estimate(self, register: Register) -> Usage:
        """Return the tokens of the newest attempt as well as the worker can count them."""

    def price(self, usage: Usage) -> float | None:
        """Return what the tokens cost in US dollars; `None` where the price is unknown."""


@dataclass(frozen=True)
class Limits:
    """How long an answer may take, in seconds. They nest: each of the first two is shorter than the whole."""

    first_token: float
    idle: float
    whole: float
