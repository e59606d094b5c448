"""The event stream of a report (server-sent events).

Ids are ids of events in the workflow's history, so `Last-Event-ID` resumes on any replica. What is not in history (the
attempt, tokens so far) comes from Temporal's description, looked at once a second while somebody listens, and carries
no id.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

from fastapi.sse import format_sse_event
from temporalio.api.history.v1 import HistoryEvent

from services.gateway import bounds, pending
from services.gateway.pending import PendingStep
from services.gateway.problems import ProblemError
from services.gateway.reports import Reports, Run
from services.gateway.resource import Failure, Report, Tick
from services.gateway.story import Story

KEEP_ALIVE_SECONDS = 15.0
"""Proxies close a silent connection after 30 s and more."""

TICK_SECONDS = 1.0

AWAY_SECONDS = 60.0
"""How long a stream outlives Temporal. After that the client's own reconnecting is the better retry."""

_RECONNECT_MS = 2000
# Temporal answers a long poll after at most 20 s, so one that takes longer is lost.
_LONG_POLL = timedelta(seconds=30)


def only(report: Report) -> bytes:
    """Return the whole stream of a report that Temporal has forgotten: its end."""
    return format_sse_event(event=report.status, data_str=report.model_dump_json(by_alias=True))


class Stream:
    """One listener's stream of one run."""

    def __init__(self, reports: Reports, report_id: str, run: Run, last_event_id: int, stop: asyncio.Event) -> None:
        """Take up a stream.

        Args:
            reports: The read model.
            report_id: The report.
            run: Its newest run; the stream ends with it, whatever is started later.
            last_event_id: The last event that the client has seen; 0: none.
            stop: Set when the gateway is asked to stop; the client then goes on with another replica.
        """
        self._reports = reports
        self._id = report_id
        self._run_id = run.run_id
        # An id beyond the run's history is one of an earlier run of the report.
        self._sent = last_event_id if last_event_id <= run.story.last_event else 0
        self._stop = stop
        self._story = Story(created_at=run.story.created_at)
        self._handle = reports.client.get_workflow_handle(report_id, run_id=run.run_id)
        self._history: AsyncIterator[HistoryEvent] = self._follow()
        self._retried: tuple[int, Failure | None] = (1, None)
        self._ticked = Tick(tokens_so_far=None, pages_so_far=None)
        self._away_since: float | None = None

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the stream's frames until the report has ended, the gateway stops, or Temporal stays away."""
        yield format_sse_event(comment=f"events of {self._id}", retry=_RECONNECT_MS)
        stopping = asyncio.create_task(self._stop.wait())
        reading = asyncio.create_task(self._next())
        spoke = time.monotonic()
        try:
            while not self._story.closed:
                await asyncio.wait({reading, stopping}, timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if self._stop.is_set():
                    return
                try:
                    if reading.done():
                        event = reading.result()
                        if event is None:
                            return
                        frames = await self._tell(event)
                        reading = asyncio.create_task(self._next())
                    else:
                        frames = await self._look()
                    self._away_since = None
                except ProblemError:
                    self._away_since = self._away_since or time.monotonic()
                    if time.monotonic() - self._away_since > AWAY_SECONDS:
                        yield format_sse_event(comment="Temporal stays away; a new connection will say more")
                        return
                    frames = [format_sse_event(comment="waiting for Temporal")]
                    if reading.done():
                        reading = asyncio.create_task(self._again())
                except bounds.MissingError:
                    yield format_sse_event(comment="the report was deleted")
                    return
                if not frames and time.monotonic() - spoke >= KEEP_ALIVE_SECONDS:
                    frames = [format_sse_event(comment="still here")]
                for frame in frames:
                    yield frame
                    spoke = time.monotonic()
        finally:
            for task in (reading, stopping):
                task.cancel()
            await asyncio.gather(reading, stopping, return_exceptions=True)

    def _follow(self) -> AsyncIterator[HistoryEvent]:
        return self._handle.fetch_history_events(wait_new_event=True, rpc_timeout=_LONG_POLL)

    async def _next(self) -> HistoryEvent | None:
        """Wait for the next event of history, `None` at its end."""
        async with bounds.translated():
            return await anext(self._history, None)

    async def _again(self) -> HistoryEvent | None:
        """Read history from its beginning after a failure; the story leaves out what it knows."""
        await asyncio.sleep(TICK_SECONDS)
        self._history = self._follow()
        return await self._next()

    async def _tell(self, event: HistoryEvent) -> list[bytes]:
        await self._story.apply(event, self._reports.client.data_converter)
        return self._stage(None)

    async def _look(self) -> list[bytes]:
        """Look at the step that is under way."""
        async with bounds.temporal(self._reports.client):
            description = await self._handle.describe(rpc_timeout=bounds.RPC_TIMEOUT)
        activities = description.raw_description.pending_activities
        step = await pending.step(activities, self._reports.client.data_converter)
        if step is None:
            return []
        if step.picked_up:
            self._story.picked_up(step.activity_type)
        frames = self._stage(step)
        retried = (step.attempt, step.last_failure)
        if step.attempt > 1 and retried != self._retried:
            frames.append(format_sse_event(event="retry", data_str=self._report(step)))
        self._retried = retried
        tick = Tick(tokens_so_far=step.tokens, pages_so_far=step.pages)
        if tick != self._ticked and (step.tokens is not None or step.pages is not None):
            frames.append(format_sse_event(event="tick", data_str=tick.model_dump_json()))
        self._ticked = tick
        return frames

    def _stage(self, step: PendingStep | None) -> list[bytes]:
        """Return the frame of a stage that the client has not seen."""
        entered = self._story.entered
        if entered <= self._sent:
            return []
        self._sent = entered
        name = self._story.status if self._story.closed else "stage"
        return [format_sse_event(event=name, data_str=self._report(step), id=str(entered))]

    def _report(self, step: PendingStep | None) -> str:
        return self._reports.report(self._id, Run(self._run_id, self._story, step)).model_dump_json(by_alias=True)
