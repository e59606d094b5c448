"""OpenAI's Responses API in background mode: submitting and awaiting are two steps.

A response that was submitted with `background` and `store` runs on at the provider, whatever becomes of us. Its id
is journalled as soon as it is known; from then on the answer is fetched, and fetching again is free. So only the short
submit can be lost. litellm has no cursor, hence OpenAI's own client.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import openai

from services.contracts.errors import ErrorType
from services.contracts.llm import Usage
from services.llm_worker.errors import CallError
from services.llm_worker.provider import Piece, Resume, ResumeRefusedError

_POLL_SECONDS = 1.0
_FAILED = ("failed", "cancelled")


async def submit(
    client: openai.AsyncOpenAI, model: str, messages: list[dict[str, Any]], parameters: dict[str, Any]
) -> AsyncGenerator[Piece]:
    """Submit a response and stream it.

    Raises:
        openai.OpenAIError: The provider refused or failed.
        CallError: The response failed.
    """
    request: Any = messages  # role and content are all that OpenAI's own type asks for
    stream: Any = await client.responses.create(
        model=model,
        input=request,
        background=True,
        store=True,  # without it some projects keep a response for ten minutes only
        stream=True,
        **_parameters(parameters),
    )
    async with stream:
        async for event in stream:
            for piece in _pieces(event):
                yield piece


async def fetch(client: openai.AsyncOpenAI, resume: Resume) -> AsyncGenerator[Piece]:
    """Go on with a response from the cursor, or, where the provider refuses the cursor, wait for its end.

    Raises:
        ResumeRefusedError: The provider no longer has the response.
        openai.OpenAIError: It failed.
        CallError: The response failed.
    """
    ended = False
    try:
        stream = await client.responses.retrieve(resume.response_id, stream=True, starting_after=max(resume.cursor, 0))
        async with stream:
            async for event in stream:
                for piece in _pieces(event):
                    ended = ended or bool(piece.finish_reason)
                    yield piece
    except openai.NotFoundError as error:
        raise ResumeRefusedError("the provider no longer has this response") from error
    except openai.BadRequestError:
        pass  # no cursor on this response; the whole of it can still be had
    if not ended:  # also where the cursor stood behind the last event
        yield await _whole(client, resume.response_id)


async def cancel(client: openai.AsyncOpenAI, response_id: str) -> None:
    """Stop a response that nobody wants any more: closing its stream would let it run, and be billed, to its end.

    Raises:
        openai.OpenAIError: The provider refused or failed.
    """
    await client.responses.cancel(response_id)


async def _whole(client: openai.AsyncOpenAI, response_id: str) -> Piece:
    """Poll until the response has ended. The caller's limits bound the wait."""
    while True:
        try:
            response = await client.responses.retrieve(response_id)
        except openai.NotFoundError as error:
            raise ResumeRefusedError("the provider no longer has this response") from error
        if response.status in _FAILED:
            raise _failed(response)
        if response.status in ("completed", "incomplete"):
            return _end(response, text=response.output_text, replaces=True)
        await asyncio.sleep(_POLL_SECONDS)


def _pieces(event: Any) -> list[Piece]:
    cursor = event.sequence_number
    if event.type in ("response.created", "response.queued", "response.in_progress"):
        return [Piece(response_id=event.response.id, model=event.response.model, cursor=cursor)]
    if event.type == "response.output_text.delta":
        return [Piece(text=event.delta, cursor=cursor)]
    if event.type in ("response.completed", "response.incomplete"):
        return [_end(event.response, cursor=cursor)]
    if event.type in ("response.failed", "response.cancelled", "error"):
        raise _failed(getattr(event, "response", event))
    return []


def _end(response: Any, *, text: str = "", cursor: int = -1, replaces: bool = False) -> Piece:
    usage = response.usage
    reason = getattr(response.incomplete_details, "reason", None)
    finish = "stop" if response.status == "completed" else "content_filter" if reason == "content_filter" else "length"
    return Piece(
        text=text,
        cursor=cursor,
        finish_reason=finish,
        usage=Usage(usage.input_tokens, usage.output_tokens) if usage else None,
        model=response.model,
        replaces=replaces,
    )


def _failed(response: Any) -> CallError:
    detail = getattr(response, "error", None) or response
    message = getattr(detail, "message", "") or "no reason given"
    return CallError(
        ErrorType.PROVIDER_ERROR,
        f"The provider's background response failed: {message[:300]} The call is tried again.",
        permanent=False,
        billed=True,
        resumable=False,
    )


def _parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return chat parameters under the names of the Responses API."""
    names = {"max_tokens": "max_output_tokens", "max_completion_tokens": "max_output_tokens"}
    return {names.get(name, name): value for name, value in parameters.items()}
