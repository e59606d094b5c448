"""One response of the Responses API: its state, and its events from any cursor on.

Events are not stored: all but the first and last few are deltas, which follow from the answer's tokens and so can be
told from any cursor on.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping

from services.simulator.faults import BREAKS
from services.simulator.pace import pace
from services.simulator.provider import Job, Provider


def _event(kind: str, number: int, **content: object) -> bytes:
    data = json.dumps({"type": kind, "sequence_number": number} | content, ensure_ascii=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


class Generation:
    """One response.

    Attributes:
        job: What is answered.
        background: It goes on without its client.
        streamed: It was asked for as a stream, so it can be streamed again.
        status: As the API names it.
    """

    def __init__(self, provider: Provider, job: Job, body: Mapping[str, object]) -> None:
        self.job = job
        self.background = bool(body.get("background"))
        self.streamed = bool(body.get("stream"))
        self.status = "queued" if self.background else "in_progress"
        self._task: asyncio.Task[None] | None = None
        self._billing = provider.billing
        self._body = body
        self._created = time.time()
        self._completed: float | None = None
        self._produced = 0
        self._changed = asyncio.Event()
        self._head: list[bytes] = []
        self._tail: list[bytes] = []
        self._item_id = job.charge.id.replace("resp_", "msg_")
        where = f'"item_id":"{self._item_id}","output_index":0,"content_index":0'
        kind = "response.output_text.delta"
        self._before = f'event: {kind}\ndata: {{"type":"{kind}",{where},"delta":'.encode()
        self._begin()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status not in ("queued", "in_progress")

    def _begin(self) -> None:
        def add(kind: str, **content: object) -> None:
            self._head.append(_event(kind, len(self._head), **content))

        add("response.created", response=self.as_dict())
        if self.background:
            add("response.queued", response=self.as_dict())
        in_progress = self.as_dict() | {"status": "in_progress"}
        add("response.in_progress", response=in_progress)
        item = self._item("in_progress") | {"content": []}
        add("response.output_item.added", output_index=0, item=item)
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        add("response.content_part.added", item_id=self._item_id, output_index=0, content_index=0, part=part)

    def start(self) -> asyncio.Task[None]:
        """Begin to produce the answer."""
        self._task = asyncio.create_task(self._run())
        return self._task

    async def wait(self) -> None:
        """Wait until nothing more is produced."""
        await asyncio.wait({self._task or self.start()})

    async def _run(self) -> None:
        job = self.job
        self.status = "in_progress"
        # In the background a broken connection breaks only what the client sees.
        breaks = job.fault == "failed" or (job.fault in BREAKS and not self.background)
        tokens = job.break_at if breaks else len(job.answer.encoded)
        async for start, stop in pace(tokens, job.options.ttft, job.options.tokens_per_second):
            self._billing.produced(job.charge, stop - start)
            self._produced = stop
            self._notify()
        if job.fault == "failed":
            self._end("failed", "failed")
        elif not breaks:
            self._end("completed" if job.finish_reason == "stop" else "incomplete", "finished")

    def cancel(self) -> None:
        """Stop a response at its client's wish. One that has ended stays as it is."""
        if not self.ended:
            self.status = "cancelled"
            self._billing.close(self.job.charge, "cancelled")
            if self._task:
                self._task.cancel()
            self._notify()

    def _end(self, status: str, state: str) -> None:
        self.status = status
        self._completed = time.time()
        self._billing.close(self.job.charge, state)
        number = len(self._head) + self._produced

        def add(kind: str, **content: object) -> None:
            self._tail.append(_event(kind, number + len(self._tail), **content))

        if status != "failed":
            text = self.job.answer.text
            at = {"item_id": self._item_id, "output_index": 0, "content_index": 0}
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
            add("response.output_text.done", **at, text=text, logprobs=[])
            add("response.content_part.done", **at, part=part)
            add("response.output_item.done", output_index=0, item=self._item(status))
        add(f"response.{status}", response=self.as_dict())
        self._notify()

    def _notify(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def events(self, after: int, deltas: int | None = None) -> AsyncIterator[bytes]:
        """Yield the events with a sequence number above a cursor until the response has ended.

        Args:
            after: The cursor; -1: from the first event on.
            deltas: End after so many deltas of the answer; `None`: do not.
        """
        position = after + 1
        limit = None if deltas is None else len(self._head) + deltas
        while True:
            changed = self._changed
            available = len(self._head) + self._produced + len(self._tail)
            if limit is not None:
                available = min(available, limit)
            if position < available:
                yield b"".join(self._one(number) for number in range(position, available))
                position = available
            elif self.ended or position == limit:
                return
            else:
                await changed.wait()

    def _one(self, number: int) -> bytes:
        token = number - len(self._head)
        if token < 0:
            return self._head[number]
        if token >= self._produced:
            return self._tail[token - self._produced]
        delta = self.job.answer.encoded[token]
        return self._before + delta + f',"logprobs":[],"sequence_number":{number}}}\n\n'.encode()

    def _item(self, status: str) -> dict[str, object]:
        part = {"type": "output_text", "text": self.job.answer.text, "annotations": [], "logprobs": []}
        return {"id": self._item_id, "type": "message", "role": "assistant", "status": status, "content": [part]}

    def as_dict(self) -> dict[str, object]:
        """Return the response object."""
        charge, body = self.job.charge, self._body
        done = self.status in ("completed", "incomplete")
        reason = "content_filter" if self.job.finish_reason == "content_filter" else "max_output_tokens"
        error = {"code": "server_error", "message": "The server had an error while processing your request."}
        usage = {
            "input_tokens": charge.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": charge.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": charge.input_tokens + charge.output_tokens,
        }
        return {
            "id": charge.id,
            "object": "response",
            "created_at": self._created,
            "completed_at": self._completed if self.status == "completed" else None,
            "status": self.status,
            "background": self.background,
            "error": error if self.status == "failed" else None,
            "incomplete_details": {"reason": reason} if self.status == "incomplete" else None,
            "instructions": body.get("instructions"),
            "max_output_tokens": body.get("max_output_tokens"),
            "metadata": body.get("metadata") or {},
            "model": self.job.model,
            "output": [self._item(self.status)] if done else [],
            "parallel_tool_calls": True,
            "store": body.get("store", True),
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": usage if self.ended and self.job.fault != "no-usage" else None,
        }
