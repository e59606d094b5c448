"""A report's story: what its workflow's history says, folded event by event.

The same fold serves a single answer (the whole history at once) and the event stream (as the events come), so both
always say the same. A replica needs nothing but the history to continue another one's stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from temporalio.api.common.v1 import Memo, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.converter import DataConverter

from services.contracts.llm import LLMCallOutput
from services.contracts.reports import GenerateReportInput, GenerateReportOutput, Spend, Stage
from services.gateway import failures
from services.gateway.resource import Failure, Status

T = TypeVar("T")

_STAGES = {"llm_call": Stage.RESEARCH, "create_pdf": Stage.PDF}

TERMINATED = Failure(type="terminated", message="An operator terminated the workflow.")
TIMED_OUT = Failure(type="workflow-timeout", message="The workflow passed its time limit.")


@dataclass
class Story:
    """What is known of a report's run.

    Attributes:
        created_at: When the run started.
        title: The memo's title, later the research's own.
        body_sha256: Hash of the request's body, from the memo.
        model: The model asked for, later the one that wrote.
        request: The workflow's input.
        status: What became of it so far.
        stage: Where it is.
        entered: Id of the event with which the stage began: the stage's id in the event stream.
        last_event: Id of the last event folded in.
        spend: What the model's calls came to.
        output: The workflow's result.
        error: Why it failed.
        closed_at: When the run ended.
    """

    created_at: datetime
    title: str = ""
    body_sha256: str = ""
    model: str = ""
    request: GenerateReportInput | None = None
    status: Status = Status.QUEUED
    stage: Stage = Stage.QUEUED
    entered: int = 1
    last_event: int = 0
    spend: Spend | None = None
    output: GenerateReportOutput | None = None
    error: Failure | None = None
    closed_at: datetime | None = None
    _scheduled: dict[int, str] = field(default_factory=dict)

    @property
    def closed(self) -> bool:
        """Tell whether the run has ended."""
        return self.closed_at is not None

    def picked_up(self, activity_type: str) -> None:
        """Take note that a worker has taken a step.

        History tells this only when the step has ended; until then, the pending activity does.
        """
        scheduled = [event for event, name in self._scheduled.items() if name == activity_type]
        if scheduled:
            self._enter(_STAGES.get(activity_type, self.stage), min(scheduled))

    async def apply(self, event: HistoryEvent, converter: DataConverter) -> None:
        """Fold one event in."""
        if event.event_id <= self.last_event:
            return
        self.last_event = event.event_id
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                started = event.workflow_execution_started_event_attributes
                self.created_at = time_of(event)
                self.request = await _decode(converter, started.input, GenerateReportInput)
                await self.read_memo(started.memo, converter)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                name = event.activity_task_scheduled_event_attributes.activity_type.name
                self._scheduled[event.event_id] = name
                if name == "create_pdf":
                    self._enter(Stage.PDF, event.event_id)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                scheduled = event.activity_task_started_event_attributes.scheduled_event_id
                self.picked_up(self._scheduled.get(scheduled, ""))
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                completed = event.activity_task_completed_event_attributes
                if self._scheduled.get(completed.scheduled_event_id) == "llm_call":
                    answer = await _decode(converter, completed.result, LLMCallOutput)
                    self.spend, self.model = answer.spend, answer.model
                    self.title = answer.title or self.title
            case EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED:
                failed = event.activity_task_failed_event_attributes
                details = failed.failure.application_failure_info.details
                if self._scheduled.get(failed.scheduled_event_id) == "llm_call" and details.payloads:
                    self.spend = await _decode(converter, details, Spend)  # what the failure has cost all the same
            case EventType.EVENT_TYPE_TIMER_STARTED:
                self._enter(Stage.PAUSE, event.event_id)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
                result = event.workflow_execution_completed_event_attributes.result
                self.output = await _decode(converter, result, GenerateReportOutput)
                self.spend = self.output.spend
                self._enter(Stage.DONE, event.event_id)
                self._close(event, Status.COMPLETED)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
                self.error = failures.explain(event.workflow_execution_failed_event_attributes.failure)
                self._close(event, Status.FAILED)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
                self.error = TERMINATED
                self._close(event, Status.FAILED)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
                self.error = TIMED_OUT
                self._close(event, Status.FAILED)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
                self._close(event, Status.CANCELLED)

    async def read_memo(self, memo: Memo, converter: DataConverter) -> None:
        """Take the title, the model and the body's hash from a workflow's memo."""
        self.title = await _memo(converter, memo, "title") or self.title
        self.model = await _memo(converter, memo, "model") or self.model
        self.body_sha256 = await _memo(converter, memo, "body_sha256")

    def _enter(self, stage: Stage, event_id: int) -> None:
        if self.closed:
            return
        if stage is not self.stage and event_id > self.entered:
            self.stage, self.entered = stage, event_id
        if self.stage is not Stage.QUEUED:
            self.status = Status.IN_PROGRESS

    def _close(self, event: HistoryEvent, status: Status) -> None:
        self.status, self.closed_at, self.entered = status, time_of(event), event.event_id


def time_of(event: HistoryEvent) -> datetime:
    """Return when an event happened."""
    return event.event_time.ToDatetime(tzinfo=UTC)


async def read(events: Sequence[HistoryEvent], converter: DataConverter) -> Story:
    """Fold a history, which has at least its first event."""
    story = Story(created_at=time_of(events[0]))
    for event in events:
        await story.apply(event, converter)
    return story


async def _decode(converter: DataConverter, payloads: Payloads, kind: type[T]) -> T:
    values = await converter.decode(payloads.payloads, [kind])
    value: T = values[0]
    return value


async def _memo(converter: DataConverter, memo: Memo, name: str) -> str:
    if name not in memo.fields:
        return ""
    values = await converter.decode([memo.fields[name]], [str])
    return str(values[0])
