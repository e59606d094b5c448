"""Each way to a provider against the simulator as a real process: what is yielded, what is billed, what is refused."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest

from services.cli.stack import LocalStack
from services.contracts.errors import ErrorType
from services.contracts.llm import LLMCallInput, Message, Usage
from services.llm_worker import capabilities
from services.llm_worker.capabilities import Kind
from services.llm_worker.errors import CallError
from services.llm_worker.models import ModelProvider, Models
from services.llm_worker.provider import Piece, Resume, ResumeRefusedError
from services.llm_worker.settings import LLMSettings, ResumeMode

# litellm runs in this process: its types warn, and it keeps its connections for the life of the process.
pytestmark = pytest.mark.filterwarnings("ignore")

KEY = "sk-test-0123456789"
OPENAI = ("openai/sim", ResumeMode.AUTO)  # read by our own event reader
LITELLM = ("custom_openai/sim", ResumeMode.AUTO)  # not in litellm's list of compatible ones, so litellm reads it
BACKGROUND = ("openai/sim", ResumeMode.BACKGROUND)
PREFIX = ("openai/sim", ResumeMode.PREFIX)
ROUTES = [
    pytest.param(route, id=name)
    for name, route in (("events", OPENAI), ("litellm", LITELLM), ("background", BACKGROUND))
]
Route = tuple[str, ResumeMode]


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    stack = LocalStack(tmp_path_factory.mktemp("providers"), web_ui=False)
    stack.start([stack.simulator])
    yield stack.simulator_url
    stack.stop()


def settings(simulator: str, mode: ResumeMode, model: str = "openai/sim") -> LLMSettings:
    return LLMSettings.model_validate(
        {"llm_api_base": f"{simulator}/v1", "llm_api_key": KEY, "llm_model": model, "llm_resume": mode}
    )


@asynccontextmanager
async def provider(simulator: str, route: Route, prompt: str) -> AsyncIterator[ModelProvider]:
    model, mode = route
    models = Models(settings(simulator, mode, model))
    try:
        yield models.provider(LLMCallInput("research", [Message("user", prompt)]))
    finally:
        await models.close()


async def read(simulator: str, route: Route, prompt: str, resume: Resume | None = None) -> list[Piece]:
    async with provider(simulator, route, prompt) as source, aclosing(source.stream(resume)) as pieces:
        return [piece async for piece in pieces]


def text(pieces: list[Piece]) -> str:
    """Return the answer as the ledger puts it together."""
    parts: list[str] = []
    for piece in pieces:
        if piece.replaces:
            parts.clear()
        parts.append(piece.text)
    return "".join(parts)


def usage(pieces: list[Piece]) -> Usage | None:
    return next((piece.usage for piece in reversed(pieces) if piece.usage), None)


def billing(simulator: str, prompt: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{simulator}/billing") as response:
        bill = json.load(response)
    hashes = {digest for digest, entry in bill["by_prompt"].items() if entry["prompt"] == prompt[:80]}
    return [entry for entry in bill["requests_log"] if entry["prompt_hash"] in hashes]


@pytest.mark.parametrize("route", ROUTES)
async def test_an_answer_comes_whole_with_its_usage(simulator: str, route: Route) -> None:
    pieces = await read(simulator, route, "Bears")
    expected = await read(simulator, OPENAI, "Bears")
    assert text(pieces) == text(expected)
    found = usage(pieces)
    assert found is not None
    assert found.output_tokens == 900
    assert [piece.finish_reason for piece in pieces if piece.finish_reason] == ["stop"]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    ("fault", "error_type", "permanent", "billed"),
    [
        ("rate-limit", ErrorType.RATE_LIMIT, False, False),
        ("quota", ErrorType.QUOTA_EXHAUSTED, True, False),
        ("auth", ErrorType.AUTHENTICATION, True, False),
        ("server-error", ErrorType.PROVIDER_ERROR, False, False),
        ("overloaded", ErrorType.PROVIDER_ERROR, False, False),
        ("context-length", ErrorType.CONTEXT_WINDOW, True, False),
        ("cut", None, False, True),
        ("malformed", None, False, True),
        ("stream-error", None, False, True),
        ("empty", ErrorType.EMPTY_ANSWER, True, True),
        ("content-filter", ErrorType.CONTENT_FILTER, True, True),
    ],
)
async def test_a_fault_has_its_verdict_and_one_request(
    simulator: str, route: Route, fault: str, error_type: ErrorType | None, permanent: bool, billed: bool
) -> None:
    prompt = f"{route} {fault} [[simulator: fault={fault}]]"
    with pytest.raises(CallError) as raised:
        await read(simulator, route, prompt)
    assert (raised.value.permanent, raised.value.billed) == (permanent, billed)
    assert error_type in (None, raised.value.error_type)
    assert KEY not in str(raised.value)
    assert len(billing(simulator, prompt)) == 1, "no client may retry by itself: Temporal does"


@pytest.mark.parametrize("route", ROUTES)
async def test_retry_after_is_read(simulator: str, route: Route) -> None:
    with pytest.raises(CallError) as raised:
        await read(simulator, route, "x [[simulator: fault=rate-limit:retry-after=7]]")
    assert raised.value.retry_after is not None
    assert raised.value.retry_after.total_seconds() == 7


@pytest.mark.parametrize("route", ROUTES)
async def test_a_cut_off_answer_is_an_answer(simulator: str, route: Route) -> None:
    pieces = await read(simulator, route, "x [[simulator: fault=length]]")
    assert text(pieces)
    assert pieces[-1].finish_reason == "length" or any(piece.finish_reason == "length" for piece in pieces)


@pytest.mark.parametrize("route", [ROUTES[0], ROUTES[1]])
async def test_closing_closes_the_providers_stream(simulator: str, route: Route) -> None:
    prompt = f"closing {route} [[simulator: tokens-per-second=50]]"
    async with provider(simulator, route, prompt) as source, aclosing(source.stream(None)) as stream:
        async for piece in stream:
            if piece.text:
                break
    deadline = asyncio.get_running_loop().time() + 5
    while billing(simulator, prompt)[0]["state"] != "client_gone":
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


async def test_a_prefix_is_continued_without_a_seam(simulator: str) -> None:
    whole = text(await read(simulator, OPENAI, "Whales"))
    for cut in (1, 17, 400, 1201, len(whole) - 1):
        prefix = whole[:cut].rstrip()
        assert prefix + text(await read(simulator, PREFIX, "Whales", Resume(prefix=prefix))) == whole


async def test_a_refused_prefix_is_told_from_a_bad_request(simulator: str) -> None:
    with pytest.raises(ResumeRefusedError):
        await read(simulator, PREFIX, "Owls [[simulator: prefix=off]]", Resume(prefix="# Owls"))


async def test_a_background_response_is_fetched_from_any_cursor(simulator: str) -> None:
    pieces = await read(simulator, BACKGROUND, "Foxes")
    response_id = next(piece.response_id for piece in pieces if piece.response_id)
    for index in range(0, len(pieces), len(pieces) // 7):
        piece, so_far = pieces[index], pieces[: index + 1]
        rest = await read(simulator, BACKGROUND, "Foxes", Resume(response_id=response_id, cursor=piece.cursor))
        assert text(so_far + rest) == text(pieces)
    assert len(billing(simulator, "Foxes")) == 1


async def test_a_refused_cursor_falls_back_to_the_whole_answer(simulator: str) -> None:
    prompt = "Crows [[simulator: fault=cursor-refused]]"
    pieces = await read(simulator, BACKGROUND, prompt)
    response_id = next(piece.response_id for piece in pieces if piece.response_id)
    (whole,) = await read(simulator, BACKGROUND, prompt, Resume(response_id=response_id, cursor=50))
    assert whole.replaces
    assert whole.text == text(pieces)


async def test_a_response_that_is_gone_says_so(simulator: str) -> None:
    with pytest.raises(ResumeRefusedError):
        await read(simulator, BACKGROUND, "x", Resume(response_id="resp_none", cursor=3))


async def test_an_unreachable_provider_bills_nothing() -> None:
    with pytest.raises(CallError) as raised:
        await read("http://127.0.0.1:1", OPENAI, "x")
    assert (raised.value.error_type, raised.value.billed) == (ErrorType.CONNECTION, False)


@pytest.mark.parametrize(
    ("model", "name", "base", "kind"),
    [
        ("gpt-4o", "openai", None, Kind.BACKGROUND),
        ("gpt-4o", "openai", "https://api.openai.com/v1", Kind.BACKGROUND),
        ("llama", "openai", "http://vllm:8000/v1", Kind.PLAIN),
        ("deepseek-chat", "deepseek", "https://api.deepseek.com/beta", Kind.PREFIX),
        ("mistral-large-latest", "mistral", "https://api.mistral.ai/v1", Kind.PREFIX),
        ("claude-sonnet-4-5", "anthropic", None, Kind.PREFIX),
        ("claude-sonnet-4-6", "anthropic", None, Kind.PLAIN),
        ("gemini-2.5-pro", "gemini", None, Kind.PLAIN),
    ],
)
def test_capabilities_follow_the_table(model: str, name: str, base: str | None, kind: Kind) -> None:
    assert capabilities.kind_of(model, name, base, ResumeMode.AUTO) is kind
    assert capabilities.kind_of(model, name, base, ResumeMode.OFF) is Kind.PLAIN
    assert capabilities.kind_of(model, name, base, ResumeMode.PREFIX) is Kind.PREFIX


def test_an_unknown_provider_is_refused_at_start() -> None:
    with pytest.raises(CallError, match="provider/model"):
        Models(LLMSettings.model_validate({"llm_model": "no-such-provider/m"}))


async def test_the_key_does_not_travel_to_another_provider(simulator: str) -> None:
    models = Models(settings(simulator, ResumeMode.AUTO))
    with pytest.raises(CallError, match="a key for openai only") as raised:
        models.provider(LLMCallInput("research", [Message("user", "x")], model="anthropic/claude-sonnet-4-5"))
    await models.close()
    assert raised.value.permanent
