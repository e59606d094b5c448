"""The register: the one object in the store that a call of the model is claimed, journalled and recorded in."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from services.contracts.llm import LLMCallInput, Usage
from services.contracts.reports import Spend


class State(StrEnum):
    """Of a register."""

    OPEN = "open"
    DONE = "done"


class AttemptState(StrEnum):
    """How an attempt stands. `sent` is also what a killed one leaves behind."""

    SENT = "sent"
    FINISHED = "finished"
    FAILED = "failed"
    LOST = "lost"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"


@dataclass
class Attempt:
    """One owner's try at the call.

    Attributes:
        owner: Token of the owner; no two attempts share one.
        state: How it stands.
        purchase: A request that is billed was (or was about to be) sent; false where a running response was fetched.
        billed: The provider may have billed it. True from before sending until a refusal shows that it did not.
        kept_pieces: Pieces of the text that it took over from the attempt before, and did not pay for.
        input_tokens: Tokens of its request; an estimate unless it finished.
        output_tokens: Tokens it received; journalled pieces unless it finished.
        cost_usd: What it cost; `None` where the price is unknown.
        error: Error type it failed with.
    """

    owner: str
    state: AttemptState = AttemptState.SENT
    purchase: bool = True
    billed: bool = True
    kept_pieces: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    error: str = ""

    def account(self, usage: Usage, cost_usd: float | None) -> None:
        """Enter what the attempt was billed."""
        self.input_tokens, self.output_tokens, self.cost_usd = usage.input_tokens, usage.output_tokens, cost_usd


@dataclass
class Register:
    """The object's content. Fields are only ever added, with defaults: an older worker may read what a newer wrote.

    Attributes:
        state: `open` until the answer is recorded; nothing is written after `done`.
        owner: Token of the attempt that may write it; empty: nobody, so that the next attempt need not wait.
        beat: Counts the writes, so that each has an ETag of its own.
        parts: The text so far, as it was received; one string in the object.
        pieces: Number of pieces that `parts` was received in, over all attempts that it was continued by.
        response_id: The provider's id of a response that can be fetched.
        cursor: Sequence number up to which `parts` holds that response.
        attempts: All attempts, oldest first.
        usage: The answer's tokens, once done.
        model: The model that answered, once done.
        finish_reason: `stop` or `length`, once done.
    """

    state: State = State.OPEN
    owner: str = ""
    beat: int = 0
    parts: list[str] = field(default_factory=list)
    pieces: int = 0
    response_id: str = ""
    cursor: int = -1
    attempts: list[Attempt] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    finish_reason: str = ""

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self.parts)

    @property
    def attempt(self) -> Attempt:
        """The newest attempt."""
        return self.attempts[-1]

    def encode(self) -> bytes:
        """Return the object's bytes: JSON in UTF-8."""
        content = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "parts"}
        content["attempts"] = [dataclasses.asdict(attempt) for attempt in self.attempts]
        content["usage"] = dataclasses.asdict(self.usage)
        return json.dumps({"version": 1, **content, "text": self.text}, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, data: bytes) -> "Register":
        """Read an object's bytes.

        Raises:
            ValueError: They are not a register.
        """
        content = json.loads(data)
        if not isinstance(content, dict) or "text" not in content or "state" not in content:
            raise ValueError("the object is not a register of the ledger")
        register = cls(**_known(cls, content))
        register.state = State(register.state)
        register.parts = [content["text"]] if content["text"] else []
        register.attempts = [Attempt(**_known(Attempt, attempt)) for attempt in content["attempts"]]
        for attempt in register.attempts:
            attempt.state = AttemptState(attempt.state)
        register.usage = Usage(**_known(Usage, content["usage"]))
        return register

    def forget_text(self) -> None:
        """Drop what cannot be continued: the next purchase starts from nothing."""
        self.parts, self.pieces, self.response_id, self.cursor = [], 0, "", -1
        self.usage, self.model, self.finish_reason = Usage(), "", ""

    @property
    def buyer(self) -> Attempt:
        """The attempt that is billed for the newest: a response that is only fetched was bought by an earlier one."""
        return next((attempt for attempt in reversed(self.attempts) if attempt.purchase), self.attempt)

    @property
    def purchases(self) -> int:
        """How often the answer was bought from its beginning, as far as the provider may have billed it."""
        return sum(attempt.billed and attempt.purchase and not attempt.kept_pieces for attempt in self.attempts)

    def enter(self, owner: str, *, kept_pieces: int = 0, purchase: bool = True) -> None:
        """Make `owner` the owner, with an attempt of its own."""
        self.owner = owner
        self.attempts.append(Attempt(owner, purchase=purchase, billed=purchase, kept_pieces=kept_pieces))

    def close(self, state: AttemptState, usage: Usage, cost_usd: float | None, error: str = "") -> None:
        """End the newest attempt without an answer; what it may have been billed is an estimate."""
        self.attempt.state = state
        self.attempt.error = error
        if self.attempt.billed:
            self.attempt.account(usage, cost_usd)

    def finish(self, usage: Usage, cost_usd: float | None) -> None:
        """Turn the register into the recorded answer; the tokens are those of the newest request."""
        self.attempt.state = AttemptState.FINISHED
        self.buyer.billed = True
        self.buyer.account(usage, cost_usd)
        kept = self.attempt.kept_pieces if self.attempt.purchase else 0
        self.usage = Usage(usage.input_tokens, usage.output_tokens + kept, usage.estimated or kept > 0)
        self.state = State.DONE

    def merge(self, other: "Register", usage: Usage, cost_usd: float | None) -> None:
        """Take the attempts that another owner has entered meanwhile onto these books: they were billed too."""
        known = {attempt.owner for attempt in self.attempts}
        for attempt in other.attempts:
            if attempt.owner not in known:
                attempt.state = AttemptState.SUPERSEDED
                if attempt.billed:
                    attempt.account(usage, cost_usd)
                self.attempts.insert(-1, attempt)

    def spent(self) -> Spend:
        """Return what all attempts together came to. Tokens of attempts whose text was thrown away count as wasted."""
        billed = [attempt for attempt in self.attempts if attempt.billed]
        costs = [attempt.cost_usd for attempt in billed]
        known = [cost for cost in costs if cost is not None]
        return Spend(
            calls=1,
            input_tokens=sum(attempt.input_tokens for attempt in billed),
            output_tokens=sum(attempt.output_tokens for attempt in billed),
            wasted_tokens=self._wasted_tokens(),
            cost_usd=sum(known) if len(known) == len(costs) else None,
        )

    def _wasted_tokens(self) -> int:
        """Return the tokens of attempts whose text is of no use: not finished, and not continued by a useful one."""
        wasted, useful, newer = 0, True, None
        for attempt in reversed(self.attempts):
            if attempt.state is AttemptState.SUPERSEDED:
                useful_here = False
            elif newer is None:
                useful_here = attempt.state in (AttemptState.SENT, AttemptState.FINISHED)
                newer, useful = attempt, useful_here
            else:
                useful_here = useful and (newer.kept_pieces > 0 or not newer.purchase)
                newer, useful = attempt, useful_here
            if attempt.billed and not useful_here:
                wasted += attempt.input_tokens + attempt.output_tokens
        return wasted


def _known(cls: type[Any], content: dict[str, Any]) -> dict[str, Any]:
    """Return the fields that this version knows."""
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: value for name, value in content.items() if name in names}


def request_hash(call: LLMCallInput) -> str:
    """Return 32 hex digits of SHA-256 over the canonical request: model, messages, parameters, as the call has them."""
    request = {
        "model": call.model,
        "messages": [dataclasses.asdict(message) for message in call.messages],
        "parameters": call.parameters,
    }
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
