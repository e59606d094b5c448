"""The ways of reading a streamed answer that `benchmarks.streams` compares. Each counts the pieces as they arrive."""

import asyncio
import json
from abc import ABC, abstractmethod
from typing import Any

import httpx
import litellm
import openai

from services.contracts.llm import LLMCallInput, Message
from services.llm_worker.activities import ThreadedStore
from services.llm_worker.ledger import Caller, Ledger
from services.llm_worker.models import ModelProvider, Models
from services.llm_worker.provider import Limits
from services.llm_worker.settings import LLMSettings
from services.runtime import object_store


class Reader(ABC):
    """One way.

    Attributes:
        settings: Where the provider is.
    """

    def __init__(self, settings: LLMSettings) -> None:
        self.settings = settings

    @classmethod
    async def open(cls, settings: LLMSettings) -> "Reader":
        """Return a reader that is ready."""
        return cls(settings)

    @abstractmethod
    async def read(self, prompt: str) -> None:
        """Read one whole answer; with a journal, until it is recorded."""

    @property
    @abstractmethod
    def pieces(self) -> int:
        """Pieces received so far, by all streams together."""


class _Journalled(Reader):
    """The ledger as in the LLM worker, against a real store."""

    provider_class = ModelProvider

    def __init__(self, settings: LLMSettings, store: object_store.ObjectStore) -> None:
        super().__init__(settings)
        limits = Limits(settings.llm_first_token_seconds, settings.llm_idle_seconds, settings.llm_max_call_seconds)
        self._ledger = Ledger(ThreadedStore(store, threads=16), limits, rebuy_limit=0)
        self._models = Models(settings)
        self._callers: list[Caller] = []

    @classmethod
    async def open(cls, settings: LLMSettings) -> "Reader":
        return cls(settings, await object_store.connect(settings))

    async def read(self, prompt: str) -> None:
        caller = Caller(admit=lambda _register: None, booked=lambda _attempt: None, leave=asyncio.Event())
        self._callers.append(caller)
        await self._ledger.call(f"ledger/{prompt}.json", self.provider_class(self._models, _call(prompt)), caller)

    @property
    def pieces(self) -> int:
        return sum(caller.register.pieces for caller in self._callers)


class Tardigrade(_Journalled):
    """What the LLM worker does with an OpenAI-compatible server."""


class _ThroughLitellm(ModelProvider):
    def _speaks_openai(self) -> bool:
        return False


class JournalledLitellm(_Journalled):
    """The same with litellm's streaming, as the LLM worker reads all other providers."""

    provider_class = _ThroughLitellm


class _Counting(Reader):
    """Without a journal: the pieces are counted and dropped."""

    def __init__(self, settings: LLMSettings) -> None:
        super().__init__(settings)
        self._pieces = 0

    @property
    def pieces(self) -> int:
        return self._pieces


class Bare(_Counting):
    """The LLM worker's own reader."""

    def __init__(self, settings: LLMSettings) -> None:
        super().__init__(settings)
        self._models = Models(settings)

    async def read(self, prompt: str) -> None:
        """Read one whole answer."""
        async for piece in ModelProvider(self._models, _call(prompt)).stream(None):
            self._pieces += bool(piece.text)


class BareLitellm(_Counting):
    """litellm as everybody calls it."""

    async def read(self, prompt: str) -> None:
        """Read one whole answer."""
        stream: Any = await litellm.acompletion(
            model=self.settings.llm_model,
            messages=_messages(prompt),
            api_key=self.settings.llm_api_key.get_secret_value(),
            api_base=self.settings.llm_api_base,
            stream=True,
        )
        async for chunk in stream:
            self._pieces += bool(chunk.choices[0].delta.content)


class BareOpenAI(_Counting):
    """OpenAI's client."""

    def __init__(self, settings: LLMSettings) -> None:
        super().__init__(settings)
        key = settings.llm_api_key.get_secret_value()
        limits = httpx.Limits(max_connections=1000)
        self._client = openai.AsyncOpenAI(
            api_key=key, base_url=settings.llm_api_base, http_client=httpx.AsyncClient(limits=limits, timeout=120)
        )

    async def read(self, prompt: str) -> None:
        """Read one whole answer."""
        messages: Any = _messages(prompt)
        stream = await self._client.chat.completions.create(model="simulated-model", messages=messages, stream=True)
        async for chunk in stream:
            self._pieces += bool(chunk.choices and chunk.choices[0].delta.content)


class BareSSE(_Counting):
    """Lines from httpx, and `json.loads`."""

    def __init__(self, settings: LLMSettings) -> None:
        super().__init__(settings)
        self._client = httpx.AsyncClient(limits=httpx.Limits(max_connections=1000), timeout=120)

    async def read(self, prompt: str) -> None:
        """Read one whole answer."""
        body = {"model": "simulated-model", "messages": _messages(prompt), "stream": True}
        key = self.settings.llm_api_key.get_secret_value()
        address = f"{self.settings.llm_api_base}/chat/completions"
        async with self._client.stream(
            "POST", address, json=body, headers={"Authorization": f"Bearer {key}"}
        ) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {"):
                    self._pieces += bool(json.loads(line[6:])["choices"][0]["delta"].get("content"))


READERS: dict[str, type[Reader]] = {
    "tardigrade": Tardigrade,
    "litellm": JournalledLitellm,
    "bare-tardigrade": Bare,
    "bare-litellm": BareLitellm,
    "bare-openai": BareOpenAI,
    "bare-sse": BareSSE,
}


def _messages(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}]


def _call(prompt: str) -> LLMCallInput:
    return LLMCallInput(call_id="benchmark", messages=[Message("user", prompt)])
