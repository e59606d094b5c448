"""Chat completions, streamed: from OpenAI-compatible servers by a reader of our own, from all others by litellm.

litellm's streaming costs about 0.6 ms of CPU a chunk, most of it in rebuilding each chunk as its own object; at 50
tokens a second that is some thirty streams a core. Nearly all servers speak OpenAI's protocol, whose chunks need one
`json.loads` each, so for those the events are read straight from httpx (`make bench-streams` compares the two).
litellm still finds the address, maps the parameters, prices the tokens and classifies the errors for all.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import httpx
import litellm
import openai

from services.contracts.errors import ErrorType
from services.contracts.llm import Usage
from services.llm_worker.errors import CallError
from services.llm_worker.provider import Piece

DEFAULT_OPENAI_BASE = "https://api.openai.com/v1"

Messages = list[dict[str, Any]]


async def read_events(
    client: httpx.AsyncClient, address: str, key: str, request: dict[str, Any]
) -> AsyncGenerator[Piece]:
    """Stream a chat completion from an OpenAI-compatible server.

    Args:
        client: Shared by all calls; its connection limits bound the pod.
        address: Of `/chat/completions`.
        key: Sent as bearer token; empty sends none.
        request: The body.

    Raises:
        openai.APIStatusError: The server refused.
        httpx.HTTPError: The connection failed.
        CallError: An event cannot be read.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with client.stream("POST", address, json=request, headers=headers) as response:
        if response.status_code != 200:
            await response.aread()
            raise _status_error(response)
        rest = b""
        async for chunk in response.aiter_bytes():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.startswith(b"data:"):
                    data = line[5:].strip()
                    if data == b"[DONE]":
                        return
                    yield _piece(data)


def _piece(data: bytes) -> Piece:
    try:
        event = json.loads(data)
        if "error" in event:
            raise _in_stream(event["error"])
        text = finish = ""
        for choice in event.get("choices", ()):
            text = choice["delta"].get("content") or ""
            finish = choice.get("finish_reason") or ""
        usage = event.get("usage")
        return Piece(
            text=text,
            finish_reason=finish,
            usage=Usage(usage["prompt_tokens"], usage["completion_tokens"]) if usage else None,
            model=event.get("model") or "",
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CallError(
            ErrorType.BAD_RESPONSE,
            f"The provider's stream holds an event that cannot be read ({type(error).__name__}). The call is tried "
            "again.",
            permanent=False,
            billed=True,
        ) from None


def _in_stream(error: object) -> CallError:
    message = error.get("message", "") if isinstance(error, Mapping) else str(error)
    return CallError(
        ErrorType.PROVIDER_ERROR,
        f"The provider broke its answer off with an error: {str(message)[:300]} The call is tried again.",
        permanent=False,
        billed=True,
    )


def _status_error(response: httpx.Response) -> openai.APIStatusError:
    """Return what OpenAI's own client would raise, for litellm to classify."""
    try:
        body = response.json()
    except ValueError:
        body = response.text[:500]
    detail = body.get("error", body) if isinstance(body, dict) else body
    message = f"Error code: {response.status_code} - {body}"
    kind = _BY_STATUS.get(response.status_code)
    if kind is None:
        kind = openai.InternalServerError if response.status_code >= 500 else openai.APIStatusError
    return kind(message, response=response, body=detail)


_BY_STATUS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    409: openai.ConflictError,
    422: openai.UnprocessableEntityError,
    429: openai.RateLimitError,
}


async def read_litellm(
    *, model: str, messages: Messages, key: str, api_base: str | None, parameters: dict[str, Any], whole_seconds: float
) -> AsyncGenerator[Piece]:
    """Stream a chat completion through litellm, with every retry of its own switched off: Temporal makes them.

    Raises:
        Exception: litellm's own, for `errors.classify`.
    """
    stream = await litellm.acompletion(
        model=model,
        messages=messages,
        api_key=key or None,
        api_base=api_base,
        stream=True,
        stream_options={"include_usage": True},
        num_retries=0,
        max_retries=0,
        timeout=whole_seconds,
        drop_params=True,
        **parameters,
    )
    try:
        async for chunk in stream:
            text = finish = ""
            for choice in chunk.choices:
                text = choice.delta.content or ""
                finish = choice.finish_reason or ""
            usage = getattr(chunk, "usage", None)
            yield Piece(
                text=text,
                finish_reason=finish,
                usage=Usage(usage.prompt_tokens, usage.completion_tokens) if usage else None,
                model=chunk.model or "",
            )
    finally:
        await stream.aclose()
