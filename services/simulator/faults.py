"""The ways in which a provider fails, on command.

A specification is a list of faults separated by commas, each `KIND[:first=N][:p=P][:after=N][:retry-after=SECONDS]`:
`rate-limit:first=2,cut:after=50:p=0.1`. Each request takes the first fault in the list that still applies: one
with `first` stops after it struck N times, one with `p` strikes with that probability, one with neither always.
`after` is the number of tokens before an answer breaks (without it: half of the answer).
"""

import random
from dataclasses import dataclass

REFUSALS = frozenset(
    {"rate-limit", "server-error", "overloaded", "quota", "auth", "bad-request", "context-length"},
)
"""Refused before anything is billed; `services.simulator.errors` has what each one says."""

BREAKS = frozenset({"stall", "cut", "malformed", "stream-error", "failed"})
"""Ends an answer in its middle without a finish reason."""

ENDINGS = {"length": "length", "content-filter": "content_filter", "incomplete": "length"}
"""Ends an answer in its middle with a finish reason."""

RETRIEVALS = frozenset({"response-gone", "cursor-refused"})
"""Strikes when a response is fetched again, not when it is made."""

CREATIONS = REFUSALS | BREAKS | frozenset(ENDINGS) | {"hang", "empty", "no-usage"}

SETTINGS: dict[str, type[int] | type[float]] = {"first": int, "after": int, "p": float, "retry-after": float}


@dataclass
class Fault:
    """One fault and how often it struck.

    Attributes:
        kind: A member of `CREATIONS` or `RETRIEVALS`.
        first: How often it strikes; `None`: without end.
        p: Probability of striking.
        after: Tokens before an answer breaks; `None`: half of it.
        retry_after: Seconds in the `Retry-After` header of `rate-limit` and `overloaded`.
        struck: How often it struck so far.
    """

    kind: str
    first: int | None = None
    p: float = 1.0
    after: int | None = None
    retry_after: float = 1.0
    struck: int = 0

    def break_at(self, tokens: int) -> int:
        """Return after how many of an answer's tokens it breaks."""
        return tokens // 2 if self.after is None else min(self.after, tokens)


def parse_faults(specification: str) -> list[Fault]:
    """Read a specification.

    Raises:
        ValueError: A kind or setting is unknown or a number is none; the text names it.
    """
    faults = []
    for item in filter(None, (part.strip() for part in specification.split(","))):
        kind, *settings = item.split(":")
        if kind not in CREATIONS | RETRIEVALS:
            raise ValueError(f"unknown fault {kind!r}; there are {', '.join(sorted(CREATIONS | RETRIEVALS))}")
        fault = Fault(kind)
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in SETTINGS:
                raise ValueError(f"unknown setting {name!r} of fault {kind!r}; there are {', '.join(SETTINGS)}")
            try:
                setattr(fault, name.replace("-", "_"), SETTINGS[name](value))
            except ValueError:
                raise ValueError(f"fault {kind!r}: {name} takes a number, not {value!r}") from None
        faults.append(fault)
    return faults


class Faults:
    """Decides which fault strikes a request."""

    def __init__(self, specification: str, seed: int) -> None:
        self._faults = parse_faults(specification)
        self._of_prompts: dict[tuple[str, str], list[Fault]] = {}
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret

    def take(self, kinds: frozenset[str], prompt_hash: str = "", own: str | None = None) -> Fault | None:
        """Return the fault that strikes now, if one does, and count it.

        Args:
            kinds: The kinds that can strike here.
            prompt_hash: The prompt's hash.
            own: The prompt's own specification, which stands in for the simulator's; its counts are kept by prompt,
                so that `first=1` in a directive strikes the first of several attempts.
        """
        faults = self._faults
        if own is not None:
            key = (prompt_hash, own)
            faults = self._of_prompts.setdefault(key, []) or parse_faults(own)
            self._of_prompts[key] = faults
        for fault in faults:
            if fault.kind not in kinds or (fault.first is not None and fault.struck >= fault.first):
                continue
            if fault.p < 1 and self._random.random() >= fault.p:
                continue
            fault.struck += 1
            return fault
        return None
