"""Chat completions: `POST /v1/chat/completions`.

A plain ASGI application, because a benchmark pushes thousands of tokens a second through it: a chunk is three pieces of
ready bytes, and every wake-up of a stream is one write.
"""

import json
import time
from collections.abc import Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from services.simulator.connection import forever, while_connected
from services.simulator.faults import BREAKS
from services.simulator.pace import pace
from services.simulator.provider import Job, Provider

MALFORMED = b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"\n\n'
STREAM_ERROR = (
    b'data: {"error":{"message":"The server had an error while processing your request.",'
    b'"type":"server_error","param":null,"code":null}}\n\n'
)


class ChatCompletions:
    """The endpoint."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        job, body = await self._provider.accept(request, "chat")
        exchange = _Exchange(self._provider, job, body, receive, send)
        answer = exchange.stream if body.get("stream") else partial(exchange.whole, scope)
        work = forever if job.fault == "hang" else answer
        finished = False
        try:
            finished = await while_connected(work(), receive)
        finally:
            self._provider.billing.close(job.charge, "finished" if finished else "client_gone")


class _Exchange:
    def __init__(self, provider: Provider, job: Job, body: Mapping[str, object], receive: Receive, send: Send) -> None:
        self._billing = provider.billing
        self._job = job
        self._receive = receive
        self._send = send
        self._created = int(time.time())
        options = body.get("stream_options")
        wanted = isinstance(options, dict) and bool(options.get("include_usage"))
        self._with_usage = wanted and job.fault != "no-usage"

    async def stream(self) -> None:
        """Send the answer as server-sent events."""
        job = self._job
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        before, between, after = self._frame()
        opening = self._chunk({"role": "assistant", "content": ""}, None)
        if job.echo:
            opening += before + json.dumps(job.echo).encode() + after
        encoded = job.answer.encoded
        async for start, stop in pace(job.break_at, job.options.ttft, job.options.tokens_per_second):
            self._billing.produced(job.charge, stop - start)
            await self._write(opening + before + between.join(encoded[start:stop]) + after)
            opening = b""
        match job.fault:
            case "stall":
                await self._write(opening)
                await forever()
            case "cut" | "failed":
                self._billing.close(job.charge, "failed")
                await self._write(opening)  # the server closes the connection when a response is left unfinished
            case "malformed":
                self._billing.close(job.charge, "failed")
                await self._write(opening + MALFORMED, more=False)
            case "stream-error":
                self._billing.close(job.charge, "failed")
                await self._write(opening + STREAM_ERROR, more=False)
            case _:
                closing = self._chunk({}, job.finish_reason)
                if self._with_usage:
                    closing += self._event({"choices": [], "usage": self._usage()})
                await self._write(opening + closing + b"data: [DONE]\n\n", more=False)

    async def whole(self, scope: Scope) -> None:
        """Send the answer in one piece, after the time that it takes to produce."""
        job = self._job
        async for start, stop in pace(job.break_at, job.options.ttft, job.options.tokens_per_second):
            self._billing.produced(job.charge, stop - start)
        if job.fault == "stall":
            await forever()
        message = {"role": "assistant", "content": job.echo + job.answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": job.finish_reason}
        content = self._base("chat.completion") | {"choices": [choice]}
        if job.fault != "no-usage":
            content["usage"] = self._usage()
        response = JSONResponse(content)
        if job.fault in BREAKS:
            self._billing.close(job.charge, "failed")
            headers = [(b"content-type", b"application/json")]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._write(bytes(response.body[: len(response.body) // 2]), more=job.fault != "malformed")
        else:
            await response(scope, self._receive, self._send)

    async def _write(self, data: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": data, "more_body": more})

    def _base(self, kind: str) -> dict[str, object]:
        return {
            "id": self._job.charge.id,
            "object": kind,
            "created": self._created,
            "model": self._job.model,
            "system_fingerprint": "fp_simulator",
        }

    def _event(self, more: Mapping[str, object]) -> bytes:
        content = self._base("chat.completion.chunk") | dict(more)
        return b"data: " + json.dumps(content, separators=(",", ":")).encode() + b"\n\n"

    def _chunk(self, delta: Mapping[str, object], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        # OpenAI sends a null usage in every chunk when the last one is to carry it.
        return self._event({"choices": [choice]} | ({"usage": None} if self._with_usage else {}))

    def _frame(self) -> tuple[bytes, bytes, bytes]:
        before, after = self._chunk({"content": "\0"}, None).split(rb'"\u0000"')
        return before, after + before, after

    def _usage(self) -> dict[str, object]:
        charge = self._job.charge
        return {
            "prompt_tokens": charge.input_tokens,
            "completion_tokens": charge.output_tokens,
            "total_tokens": charge.input_tokens + charge.output_tokens,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }
