"""The provider behind a model's name: how its answer is bought, resumed, counted and priced."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict
from typing import Any

import httpx
import litellm
import openai
from litellm.constants import openai_compatible_providers
from litellm.utils import get_optional_params

from services.contracts.errors import ErrorType
from services.contracts.llm import LLMCallInput, Usage
from services.llm_worker import capabilities, chat, prices, responses
from services.llm_worker.capabilities import Kind
from services.llm_worker.errors import CallError, classify, unknown_provider
from services.llm_worker.provider import Piece, Resume, ResumeRefusedError
from services.llm_worker.register import Register
from services.llm_worker.settings import LLMSettings

# litellm prints advice to standard output on every error otherwise.
litellm.suppress_debug_info = True


class Models:
    """The clients that all calls of a worker share."""

    def __init__(self, settings: LLMSettings) -> None:
        """Make the clients; nothing is sent.

        Raises:
            CallError: litellm finds no provider in `LLM_MODEL`.
        """
        self.settings = settings
        self.home = self.locate(settings.llm_model)[1]
        self.key = settings.llm_api_key.get_secret_value()
        # The ledger watches the tokens; this bounds what it cannot see, such as a server that takes no connection.
        self.timeout = httpx.Timeout(settings.llm_max_call_seconds, connect=10)
        limits = httpx.Limits(
            max_connections=settings.llm_concurrency, max_keepalive_connections=50, keepalive_expiry=5
        )
        self.http = httpx.AsyncClient(timeout=self.timeout, limits=limits)

    def locate(self, name: str) -> tuple[str, str, str | None, str | None]:
        """Return a model's name at its provider, the provider, its key and its address, as litellm finds them.

        Raises:
            CallError: litellm finds no provider in the name.
        """
        try:
            found: tuple[str, str, str | None, str | None] = litellm.get_llm_provider(
                name,
                api_base=self.settings.llm_api_base or None,
                api_key=self.settings.llm_api_key.get_secret_value() or None,
            )
        except litellm.exceptions.BadRequestError as error:
            raise unknown_provider(error) from None
        return found

    def provider(self, call: LLMCallInput) -> "ModelProvider":
        """Return where this call is bought.

        Raises:
            CallError: The call names a model of no provider, or of another one than the worker's key is for.
        """
        return ModelProvider(self, call)

    async def close(self) -> None:
        """Close the shared connections."""
        await self.http.aclose()


class ModelProvider:
    """One call's way to its provider; implements `services.llm_worker.provider.Provider`."""

    def __init__(self, models: Models, call: LLMCallInput) -> None:
        self._models = models
        self._call = call
        self.name = call.model or models.settings.llm_model
        model, provider, key, base = models.locate(self.name)
        if provider != models.home:
            # A report names its model; the worker's key must not travel to whichever provider the name belongs to.
            raise CallError(
                ErrorType.MODEL_NOT_FOUND,
                f"{self.name} is a model of {provider}, and this service has a key for {models.home} only. Take one of "
                "its models, or run another LLM worker.",
                permanent=True,
                billed=False,
            )
        self._model: str = model
        self._provider: str = provider
        self._key: str = key or models.key
        self._base: str | None = base
        self.kind = capabilities.kind_of(model, provider, base, models.settings.llm_resume)
        self._input_tokens: int | None = None

    def resume(self, register: Register) -> Resume | None:
        """Return how to continue the register's text; `None` where that is impossible."""
        if self.kind is Kind.BACKGROUND and register.response_id:
            return Resume(response_id=register.response_id, cursor=register.cursor)
        if self.kind is Kind.PREFIX and register.text.strip():
            # White space at the end is left to the model: some refuse a prefix that ends with it, others swallow it.
            text = register.text.rstrip()
            register.parts = [text]
            return Resume(prefix=text)
        return None

    async def stream(self, resume: Resume | None) -> AsyncGenerator[Piece]:
        """Send the request and yield the answer; see `Provider.stream`."""
        begun = False
        finish = ""
        text = bool(resume)
        try:
            async with aclosing(self._open(resume)) as pieces:
                async for piece in pieces:
                    begun = begun or bool(piece.text)
                    text = text or bool(piece.text.strip())
                    finish = piece.finish_reason or finish
                    yield piece
        except (CallError, ResumeRefusedError):
            raise
        except Exception as error:  # noqa: BLE001  every class of litellm, openai and httpx; the table classifies it
            if resume is not None and resume.prefix and getattr(error, "status_code", None) == 400:
                raise ResumeRefusedError("the provider refuses to continue a text") from None
            raise self._verdict(error, streaming=begun) from None
        _check_end(finish, has_text=text)

    def _open(self, resume: Resume | None) -> AsyncGenerator[Piece]:
        if self.kind is Kind.BACKGROUND:
            client = self._responses_client()
            if resume is not None:
                return responses.fetch(client, resume)
            return responses.submit(client, self._model, self._messages(None), self._call.parameters)
        messages = self._messages(resume)
        if self._speaks_openai():
            request = {
                "model": self._model,
                "messages": messages,
                **self._mapped_parameters(),
                "stream": True,
                "stream_options": {"include_usage": True},
            }
            address = f"{(self._base or chat.DEFAULT_OPENAI_BASE).rstrip('/')}/chat/completions"
            return chat.read_events(self._models.http, address, self._key, request)
        return chat.read_litellm(
            model=self.name,
            messages=messages,
            key=self._models.key,
            api_base=self._models.settings.llm_api_base or None,
            parameters=self._call.parameters,
            whole_seconds=self._models.settings.llm_max_call_seconds,
        )

    async def abandon(self, register: Register) -> None:
        """Stop a background response that was asked to be cancelled; any other kind ends with its stream.

        Raises:
            openai.OpenAIError: The provider refused or failed.
        """
        if self.kind is Kind.BACKGROUND and register.response_id:
            await responses.cancel(self._responses_client(), register.response_id)

    def estimate(self, register: Register) -> Usage:
        """Return the tokens of the newest attempt as well as the worker can count them."""
        prefix = register.attempt.kept_pieces
        return Usage(self.input_tokens() + prefix, max(0, register.pieces - prefix), estimated=True)

    def price(self, usage: Usage) -> float | None:
        """Return what the tokens cost in US dollars; `None` where the price is unknown."""
        return prices.price(self.name, usage)

    def input_tokens(self) -> int:
        """Return the tokens of the request without a prefix, counted once by litellm's tokenizer."""
        if self._input_tokens is None:
            self._input_tokens = int(litellm.token_counter(model=self.name, messages=self._messages(None)))
        return self._input_tokens

    def _messages(self, resume: Resume | None) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = [asdict(message) for message in self._call.messages]
        if resume is not None and resume.prefix:
            messages.append({"role": "assistant", "content": resume.prefix, "prefix": True})
        return messages

    def _speaks_openai(self) -> bool:
        if self._provider == "openai":
            return True
        return bool(self._base) and self._provider in openai_compatible_providers

    def _mapped_parameters(self) -> dict[str, Any]:
        parameters: dict[str, Any] = dict(self._call.parameters)
        mapped: dict[str, Any] = get_optional_params(
            model=self._model, custom_llm_provider=self._provider, drop_params=True, **parameters
        )
        return {**{k: v for k, v in mapped.items() if k != "extra_body"}, **mapped.get("extra_body", {})}

    def _responses_client(self) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(
            api_key=self._key or "none", base_url=self._base, max_retries=0, http_client=self._models.http
        )

    def _verdict(self, error: Exception, *, streaming: bool) -> CallError:
        """Let litellm name the error, as it knows each provider's words, and look its verdict up."""
        named = error
        try:
            litellm.exception_type(model=self.name, original_exception=error, custom_llm_provider=self._provider)
        except Exception as translated:  # noqa: BLE001  raising the translation is how litellm returns it
            named = translated
        return classify(named, cause=error, streaming=streaming, secrets=(self._models.key,))


def _check_end(finish: str, *, has_text: bool) -> None:
    """Give each way an answer can end badly its defined outcome; a cut-off one (`length`) is an answer.

    Raises:
        CallError: The stream broke off, was filtered, or was empty.
    """
    if not finish:
        raise CallError(
            ErrorType.CONNECTION,
            "The provider's stream broke off before the answer's end. The call is tried again.",
            permanent=False,
            billed=True,
        )
    if finish == "content_filter":
        raise CallError(
            ErrorType.CONTENT_FILTER,
            "The provider's content filter stopped the answer. Rephrase the prompt.",
            permanent=True,
            billed=True,
            resumable=False,
        )
    if not has_text:
        raise CallError(
            ErrorType.EMPTY_ANSWER,
            "The model gave an empty answer, which the provider bills all the same. Rephrase the prompt or take "
            "another model, then try again.",
            permanent=True,
            billed=True,
            resumable=False,
        )
