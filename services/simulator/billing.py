"""The bill: what a provider would charge for, request by request."""

import hashlib
import time
from collections import deque
from dataclasses import asdict, dataclass, field

from prometheus_client import CollectorRegistry, Counter

from services.simulator.prompts import Prompt

LOG_LENGTH = 10_000
"""The latest requests are listed one by one; the totals cover all."""

PROMPT_CHARACTERS = 80
"""How much of a prompt the bill shows."""


@dataclass
class Totals:
    """Sums over requests.

    Attributes:
        prompt: The prompt's beginning; empty in the sum over all.
        requests: Requests that were accepted and so billed.
        refused: Requests answered with an error before anything was billed.
        input_tokens: Billed on receipt, prefixes included.
        output_tokens: Billed as they were produced.
        prefix_tokens: Of the input tokens, those of text to be continued.
    """

    prompt: str = ""
    requests: int = 0
    refused: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    prefix_tokens: int = 0


@dataclass
class Charge:
    """One request on the bill.

    Attributes:
        id: The answer's id, as the client gets it; empty for a refusal.
        kind: `chat` or `response`.
        model: As the client named it.
        prompt_hash: SHA-256 of the user's text.
        state: `running`, `finished`, `client_gone`, `failed` (a fault broke it), `cancelled` or `refused`.
        status: HTTP status.
        fault: The fault that struck it.
        input_tokens: Billed on receipt.
        prefix_tokens: Of these, the prefix's.
        output_tokens: Produced so far.
        started_at: `time.monotonic()`, which all processes of a machine share.
        closed_at: When it left `running`, on the same clock.
        sums: Where its tokens are added up.
    """

    id: str
    kind: str
    model: str
    prompt_hash: str
    state: str = "running"
    status: int = 200
    fault: str | None = None
    input_tokens: int = 0
    prefix_tokens: int = 0
    output_tokens: int = 0
    started_at: float = field(default_factory=time.monotonic)
    closed_at: float | None = None
    sums: tuple[Totals, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return the request as the bill lists it."""
        return {name: value for name, value in vars(self).items() if name != "sums"}


class Billing:
    """Counts requests and tokens. API keys are known by their SHA-256 only."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "simulator_requests", "Requests that ended, refused ones too.", ["kind", "outcome"], registry=self.registry
        )
        self._tokens = Counter(
            "simulator_billed_tokens", "Tokens that a provider would bill.", ["direction"], registry=self.registry
        )
        self._running: set[str] = set()
        self.reset()

    def reset(self) -> None:
        """Begin a new bill. Requests under way stay in flight and are charged to the old one."""
        self._total = Totals()
        self._by_prompt: dict[str, Totals] = {}
        self._keys: dict[str, int] = {}
        self._log: deque[Charge] = deque(maxlen=LOG_LENGTH)

    def see_key(self, key: str) -> None:
        """Count the use of an API key without keeping it."""
        digest = hashlib.sha256(key.encode()).hexdigest()
        self._keys[digest] = self._keys.get(digest, 0) + 1

    def open(self, charge: Charge, prompt: Prompt) -> Charge:
        """Charge an accepted request for its input."""
        self._enter(charge, prompt)
        for sums in charge.sums:
            sums.requests += 1
            sums.input_tokens += charge.input_tokens
            sums.prefix_tokens += charge.prefix_tokens
        self._tokens.labels("input").inc(charge.input_tokens)
        self._running.add(charge.id)
        return charge

    def produced(self, charge: Charge, tokens: int) -> None:
        """Charge a request for tokens that it produced."""
        charge.output_tokens += tokens
        for sums in charge.sums:
            sums.output_tokens += tokens
        self._tokens.labels("output").inc(tokens)

    def refuse(self, charge: Charge, prompt: Prompt, status: int) -> None:
        """Note a refused request, which costs nothing."""
        charge.state, charge.status, charge.closed_at = "refused", status, time.monotonic()
        self._enter(charge, prompt)
        for sums in charge.sums:
            sums.refused += 1
        self._requests.labels(charge.kind, charge.state).inc()

    def close(self, charge: Charge, state: str) -> None:
        """End a request. The second end of a request is ignored."""
        if charge.state != "running":
            return
        charge.state, charge.closed_at = state, time.monotonic()
        self._running.discard(charge.id)
        self._requests.labels(charge.kind, state).inc()

    def snapshot(self, *, with_log: bool = True) -> dict[str, object]:
        """Return the bill as `/billing` shows it."""
        total = asdict(self._total)
        del total["prompt"]
        bill = {
            **total,
            "tokens": self._total.input_tokens + self._total.output_tokens,
            "in_flight": len(self._running),
            "keys": self._keys,
            "by_prompt": {digest: asdict(sums) for digest, sums in self._by_prompt.items()},
        }
        return bill | {"requests_log": [charge.as_dict() for charge in self._log]} if with_log else bill

    def _enter(self, charge: Charge, prompt: Prompt) -> None:
        of_prompt = self._by_prompt.setdefault(charge.prompt_hash, Totals(prompt.text[:PROMPT_CHARACTERS]))
        charge.sums = (self._total, of_prompt)
        self._log.append(charge)
