"""What happens to a request before its answer: the key, the prompt, the fault, the bill."""

import hashlib
import secrets
from dataclasses import dataclass, replace

from starlette.requests import ClientDisconnect, Request

from services.simulator import answers, errors
from services.simulator.answers import Answer
from services.simulator.billing import Billing, Charge
from services.simulator.errors import ProviderError
from services.simulator.faults import BREAKS, CREATIONS, ENDINGS, REFUSALS, Fault, Faults
from services.simulator.options import Options
from services.simulator.prompts import Prompt, read_prompt

CONTEXT_TOKENS = 128_000
"""Longer requests are refused, as by a model with that context."""

UNKNOWN_MODEL = "no-such-model"
"""The one model that the simulator does not have."""


@dataclass(frozen=True)
class Job:
    """An accepted request and what will be answered.

    Attributes:
        prompt: What was asked.
        model: As the client named it.
        options: The simulator's options, with those of the prompt's directive.
        charge: Its entry on the bill.
        answer: What will be answered, unless a fault breaks it.
        echo: Text of the prefix that goes before the answer; it is not billed again.
        finish_reason: `stop`, `length` or `content_filter`.
        fault: The fault that struck it.
        break_at: How many tokens are produced; fewer than the answer has where a fault breaks it.
    """

    prompt: Prompt
    model: str
    options: Options
    charge: Charge
    answer: Answer
    echo: str
    finish_reason: str
    fault: str
    break_at: int


class Provider:
    """The simulator's state: options, faults and the bill.

    Args:
        options: The options it starts with.
        key: The only API key that is let in; empty: every key but `wrong...` is.
    """

    def __init__(self, options: Options, key: str = "") -> None:
        self.billing = Billing()
        self._key_hash = hashlib.sha256(key.encode()).digest() if key else b""
        self._start = options
        self._asked: dict[str, int] = {}
        self.set_options(options)

    def set_options(self, options: Options | None) -> None:
        """Change the options, `None`: back to those of the start. Counts of faults begin anew."""
        self.options = options or self._start
        self.faults = Faults(self.options.fault, self.options.seed)

    def check_key(self, request: Request) -> None:
        """Let a request in by its API key.

        Raises:
            ProviderError: 401.
        """
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else ""
        self.billing.see_key(key)
        if self._key_hash and hashlib.sha256(key.encode()).digest() != self._key_hash:
            raise errors.wrong_key()
        if key.startswith("wrong"):
            raise errors.wrong_key()

    async def accept(self, request: Request, kind: str) -> tuple[Job, dict[str, object]]:
        """Read a request, charge it and decide its answer.

        Args:
            request: The request.
            kind: `chat` or `response`.

        Returns:
            The job and the request's body.

        Raises:
            ProviderError: The request is refused; nothing is billed.
        """
        body = await _json_object(request)
        chat = kind == "chat"
        field = "messages" if chat else "input"
        prompt = read_prompt(body.get(field), param=field)
        if isinstance(instructions := body.get("instructions"), str):
            prompt = replace(prompt, input_tokens=prompt.input_tokens + len(answers.split_tokens(instructions)))
        identifier = ("chatcmpl-" if chat else "resp_") + secrets.token_hex(12)
        charge = Charge(identifier, kind, str(body.get("model", "")), prompt.sha256)
        try:
            self.check_key(request)
            if body.get("background") and body.get("store") is False:
                raise ProviderError(400, "Background mode needs 'store' to be true.", param="store")
            options, fault = self._plan(charge, prompt)
        except ProviderError as error:
            charge.id = ""
            self.billing.refuse(charge, prompt, error.status)
            raise
        limits = ("max_completion_tokens", "max_tokens") if chat else ("max_output_tokens",)
        limit = next((body[name] for name in limits if isinstance(body.get(name), int)), None)
        charge.input_tokens = prompt.input_tokens
        charge.prefix_tokens = len(answers.split_tokens(prompt.prefix or ""))
        self.billing.open(charge, prompt)
        return self._answer(charge, prompt, options, fault, limit if isinstance(limit, int) else None), body

    def _plan(self, charge: Charge, prompt: Prompt) -> tuple[Options, Fault | None]:
        try:
            options = self.options.changed(prompt.directives) if prompt.directives else self.options
        except ValueError as error:
            raise ProviderError(400, f"The prompt's directive does not fit: {error}") from None
        if charge.model == UNKNOWN_MODEL:
            text = f"The model '{UNKNOWN_MODEL}' does not exist or you do not have access to it."
            raise ProviderError(404, text, code="model_not_found")
        if prompt.prefix is not None and options.prefix == "off":
            text = (
                "This model does not support assistant message prefill: the conversation must end with a user message."
            )
            raise ProviderError(400, text, param="messages")
        if prompt.input_tokens > CONTEXT_TOKENS:
            raise errors.context_too_long(CONTEXT_TOKENS, prompt.input_tokens)
        fault = self.faults.take(CREATIONS, prompt.sha256, prompt.directives.get("fault"))
        charge.fault = fault.kind if fault else None
        if fault and fault.kind in REFUSALS:
            raise errors.refusal(fault)
        return options, fault

    def _answer(self, charge: Charge, prompt: Prompt, options: Options, fault: Fault | None, limit: int | None) -> Job:
        variants = 1
        if options.vary == "on":
            variants = self._asked[prompt.sha256] = self._asked.get(prompt.sha256, 0) + (prompt.prefix is None)
        tokens, subject, topic = options.answer_tokens, prompt.subject, prompt.topic
        if prompt.prefix is None:
            answer = answers.report(subject, topic, tokens, variants - 1)
        else:
            overlap = options.prefix_overlap
            answer = answers.continuation(subject, topic, tokens, prompt.prefix, overlap, variants)
        kind = fault.kind if fault else ""
        finish_reason = "stop"
        if fault and kind in ENDINGS:
            answer, finish_reason = answer.cut(fault.break_at(len(answer.encoded))), ENDINGS[kind]
        elif kind == "empty":
            answer = answer.cut(0)
        if limit is not None and limit < len(answer.encoded):
            answer, finish_reason = answer.cut(max(0, limit)), "length"
        produced = len(answer.encoded)
        break_at = fault.break_at(produced) if fault and kind in BREAKS else produced
        echo = prompt.prefix if prompt.prefix and options.prefix == "echo" else ""
        return Job(prompt, charge.model, options, charge, answer, echo, finish_reason, kind, break_at)


async def _json_object(request: Request) -> dict[str, object]:
    try:
        body = await request.json()
    except (ValueError, ClientDisconnect):
        raise ProviderError(400, "We could not parse the JSON body of your request.") from None
    if not isinstance(body, dict):
        raise ProviderError(400, "The body of the request must be a JSON object.")
    return body
