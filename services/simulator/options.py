"""What can be set: on the command line, in the environment, at `/control` and in a prompt's directive."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Self

from services.simulator.faults import parse_faults

PREFIX_MODES = ("on", "off", "echo")
MAX_ANSWER_TOKENS = 200_000
"""A prompt may ask for a length; this keeps it from asking for all the memory."""


@dataclass(frozen=True)
class Options:
    """How the simulator answers.

    Attributes:
        answer_tokens: Exact length of an answer in tokens, each streamed as one chunk.
        ttft: Seconds from a request to the first token.
        tokens_per_second: Speed of one stream; 0: no delay.
        fault: Faults to inject, see `services.simulator.faults`.
        seed: Seeds the faults that come with a probability.
        prefix: What a last message with `prefix: true` does: `on` (continued, only the rest is returned), `echo`
            (continued, the answer repeats the prefix first) or `off` (refused, as models without prefill do).
        prefix_overlap: Characters of the prefix that a continuation repeats.
        vary: `on`: a prompt that is asked again gets another answer, as from a real model; a prefix still finds
            the answer that it came from.
    """

    answer_tokens: int = 900
    ttft: float = 0.0
    tokens_per_second: float = 0.0
    fault: str = ""
    seed: int = 0
    prefix: str = "on"
    prefix_overlap: int = 0
    vary: str = "off"

    def __post_init__(self) -> None:
        if not 0 <= self.answer_tokens <= MAX_ANSWER_TOKENS:
            raise ValueError(f"answer_tokens must be 0 to {MAX_ANSWER_TOKENS}, not {self.answer_tokens}")
        for name in ("ttft", "tokens_per_second", "prefix_overlap"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.prefix not in PREFIX_MODES:
            raise ValueError(f"prefix must be one of {', '.join(PREFIX_MODES)}, not {self.prefix!r}")
        if self.vary not in ("on", "off"):
            raise ValueError(f"vary must be on or off, not {self.vary!r}")
        parse_faults(self.fault)

    def changed(self, values: Mapping[str, object]) -> Self:
        """Return a copy with some options changed.

        Args:
            values: Names, with `-` or `_`, to values, which may be text.

        Raises:
            ValueError: A name is unknown or a value does not fit; the text names it.
        """
        kinds = {name: type(value) for name, value in Options().as_dict().items()}
        parsed: dict[str, object] = {}
        for given, value in values.items():
            name = given.replace("-", "_")
            if name not in kinds:
                raise ValueError(f"unknown option {given!r}; there are {', '.join(kinds)}")
            if isinstance(value, bool) or value is None:
                raise ValueError(f"{name} takes a {kinds[name].__name__}, not {value!r}")
            try:
                parsed[name] = kinds[name](str(value))
            except ValueError:
                raise ValueError(f"{name} takes a {kinds[name].__name__}, not {value!r}") from None
        return replace(self, **parsed)  # type: ignore[arg-type]  # converted to each field's own type above

    def as_dict(self) -> dict[str, int | float | str]:
        """Return the options as `/control` shows them."""
        return asdict(self)
