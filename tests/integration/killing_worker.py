"""The LLM worker, made to die at exact boundaries: `python -m tests.integration.killing_worker`.

As many processes as `KILL_POINTS` names, each making one call at a time. Each ends itself with SIGKILL when its call
reaches the point that it was given; before that it writes the report's id to a file of the point's name in `KILL_DIR`.
The hooks are subclasses in this file: nothing of them is in the worker that is shipped.

    before-send        the attempt stands in the register, nothing was sent
    after-send         the provider has accepted the request, nothing has come back
    after-id           a background response's id is in the register, no token is
    mid-stream         some of the text is in the register, more has come
    after-last-token   the stream has ended; the register has what it had at the last second
    after-journal      the register has the whole text, but not as an answer
    after-record       the answer is recorded
    before-ack         the activity has ended, Temporal has not been told
"""

import asyncio
import hashlib
import os
import signal
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path

import httpx
from temporalio import activity

from services.contracts import ids, queues
from services.contracts.llm import LLMCallInput, LLMCallOutput
from services.llm_worker.__main__ import MAX_HEARTBEAT_INTERVAL
from services.llm_worker.activities import LLMActivities, ThreadedStore
from services.llm_worker.ledger import Ledger
from services.llm_worker.models import ModelProvider, Models
from services.llm_worker.provider import Limits, Piece, Resume
from services.llm_worker.register import Register, State
from services.llm_worker.settings import LLMSettings
from services.runtime import object_store
from services.runtime.object_store import ObjectStore
from services.runtime.settings import load
from services.runtime.worker import Work, run

MID_STREAM_PIECES = 120
"""Of an answer of 200 at 50 a second that begins after a second: 0.4 s after a write of the journal."""


class Victim:
    """One process and the point at which it dies.

    Attributes:
        point: See the module.
        awaited: Pieces that a write of the register is to hold; -1: none is waited for.
        journalled: Set by that write.
        report_id: Whose call it makes.
    """

    def __init__(self, point: str) -> None:
        self.point = point
        self.awaited = -1
        self.journalled = asyncio.Event()
        self.report_id = ""

    def reach(self, point: str) -> None:
        if point == self.point:
            (Path(os.environ["KILL_DIR"]) / point).write_text(self.report_id)
            os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(ThreadedStore):
    def __init__(self, store: ObjectStore, victim: Victim) -> None:
        super().__init__(store, threads=4)
        self._victim = victim

    async def put_if(self, key: str, data: bytes, etag: str | None) -> str:
        self._victim.report_id = ids.report_id_of(key)
        register = Register.decode(data)
        pieces = register.pieces
        new = await super().put_if(key, data, etag)
        if pieces == self._victim.awaited:
            self._victim.journalled.set()
        if register.state is State.DONE:
            self._victim.reach("after-record")
        if register.response_id and not pieces:
            self._victim.reach("after-id")
        return new


class DyingProvider(ModelProvider):
    def __init__(self, models: Models, call: LLMCallInput, victim: Victim) -> None:
        super().__init__(models, call)
        self._victim = victim
        self._asked = call.messages[-1].content

    async def stream(self, resume: Resume | None) -> AsyncGenerator[Piece]:
        victim, texts = self._victim, 0
        victim.reach("before-send")
        async with aclosing(super().stream(resume)) as pieces:
            if victim.point == "after-send":
                sending = asyncio.ensure_future(anext(pieces))
                await self._accepted()
                victim.reach("after-send")
                yield await sending
            async for piece in pieces:
                texts += bool(piece.text)
                if texts == MID_STREAM_PIECES:
                    victim.reach("mid-stream")
                if piece.finish_reason and victim.point == "after-journal":
                    victim.awaited = texts
                    await victim.journalled.wait()
                    victim.reach("after-journal")
                yield piece
        victim.reach("after-last-token")

    async def _accepted(self) -> None:
        """Wait until the request is on the provider's bill."""
        digest = hashlib.sha256(self._asked.strip().encode()).hexdigest()
        address = self._models.settings.llm_api_base.removesuffix("/v1") + "/billing?log=0"
        async with httpx.AsyncClient(trust_env=False) as client:
            while digest not in (await client.get(address)).json()["by_prompt"]:  # noqa: ASYNC110  another process's
                await asyncio.sleep(0.01)


class DyingModels(Models):
    def __init__(self, settings: LLMSettings, victim: Victim) -> None:
        super().__init__(settings)
        self._victim = victim

    def provider(self, call: LLMCallInput) -> ModelProvider:
        return DyingProvider(self, call, self._victim)


class DyingActivities(LLMActivities):
    def __init__(self, settings: LLMSettings, store: ObjectStore, victim: Victim) -> None:
        limits = Limits(settings.llm_first_token_seconds, settings.llm_idle_seconds, settings.llm_max_call_seconds)
        ledger = Ledger(DyingStore(store, victim), limits, rebuy_limit=settings.llm_rebuy_limit)
        super().__init__(settings, ledger, DyingModels(settings, victim))
        self._victim = victim

    @activity.defn(name="llm_call")
    async def llm_call(self, call: LLMCallInput) -> LLMCallOutput:
        output = await super().llm_call(call)
        self._victim.reach("before-ack")
        return output


async def prepare(settings: LLMSettings, victim: Victim) -> Work:
    activities = DyingActivities(settings, await object_store.connect(settings), victim)
    return Work(
        activities=[activities.llm_call],
        max_concurrent_activities=1,
        options={"max_heartbeat_throttle_interval": MAX_HEARTBEAT_INTERVAL},
        close=activities.close,
    )


def main() -> None:
    """Fork one worker a point, which costs litellm's import once, and wait until all are dead."""
    points = os.environ["KILL_POINTS"].split(",")
    for point in points:
        if os.fork() == 0:
            os.environ["POD_HTTP_PORT"] = "0"
            settings = load(LLMSettings)
            run(f"llm-worker-{point}", settings, queues.LLM, lambda: prepare(settings, Victim(point)))  # noqa: B023  run does not return
    for _ in points:
        os.wait()


if __name__ == "__main__":
    main()
