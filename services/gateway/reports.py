"""The read model: from Temporal's description, history and visibility and the store's summary to the resource."""

import asyncio
import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio.api.enums.v1 import WorkflowExecutionStatus as Execution
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription

from services.contracts import ids
from services.contracts.reports import GenerateReportInput, Stage
from services.gateway import bounds, kept, pending, resource, story
from services.gateway.kept import KeptReport
from services.gateway.pending import PendingStep
from services.gateway.problems import ProblemError, invalid, not_found
from services.gateway.resource import Report, ReportList, Status
from services.gateway.story import Story
from services.runtime.object_store import ObjectStore, ObjectStoreError

_STATUS = {
    Execution.WORKFLOW_EXECUTION_STATUS_COMPLETED: Status.COMPLETED,
    Execution.WORKFLOW_EXECUTION_STATUS_CANCELED: Status.CANCELLED,
    Execution.WORKFLOW_EXECUTION_STATUS_FAILED: Status.FAILED,
    Execution.WORKFLOW_EXECUTION_STATUS_TERMINATED: Status.FAILED,
    Execution.WORKFLOW_EXECUTION_STATUS_TIMED_OUT: Status.FAILED,
}
# Visibility does not know whether a running report has been picked up; that is looked at afterwards.
_QUERY = {
    Status.QUEUED: "ExecutionStatus = 'Running'",
    Status.IN_PROGRESS: "ExecutionStatus = 'Running'",
    Status.COMPLETED: "ExecutionStatus = 'Completed'",
    Status.CANCELLED: "ExecutionStatus = 'Canceled'",
    Status.FAILED: "ExecutionStatus IN ('Failed', 'Terminated', 'TimedOut')",
}
_OF_OUR_TYPE = "WorkflowType = 'GenerateReportWorkflow'"

_CHECKSUM_BYTES = 6

_FIRST_WORKFLOW_TASK_EVENTS = 4
"""Started, and a workflow task scheduled, started, completed: until then no step has been scheduled."""


@dataclass(frozen=True)
class Run:
    """The newest run of a report as it stands: its story, and the step that is under way."""

    run_id: str
    story: Story
    step: PendingStep | None


class Reports:
    """Reads reports. Any replica gives the same answers."""

    def __init__(self, client: Client, store: ObjectStore, temporal_ui_url: str) -> None:
        """Keep the two places where everything is.

        Args:
            client: Temporal.
            store: The bucket.
            temporal_ui_url: Base address of Temporal's web UI; empty: no links to it.
        """
        self.client = client
        self.store = store
        self._ui = temporal_ui_url.rstrip("/")

    async def get(self, report_id: str) -> Report:
        """Return a report.

        Raises:
            ProblemError: 404, or 503 when Temporal or the store is away.
        """
        found = await self.find(report_id)
        if found is None:
            raise not_found(report_id)
        return self.show(report_id, found)

    async def find(self, report_id: str) -> Run | KeptReport | None:
        """Return what is known of a report, `None` for one that does not exist or was deleted.

        Temporal takes up to half a minute to delete an execution, so a completed one without files counts as deleted.
        """
        run = await self.run(report_id)
        if run is not None and run.story.status is not Status.COMPLETED:
            return run
        try:
            finished = await kept.read(self.store, report_id)
        except (ObjectStoreError, ProblemError):
            if run is None:
                raise
            return run  # the store is away, but Temporal knows enough to answer
        return finished and (run or finished)

    def show(self, report_id: str, found: Run | KeptReport) -> Report:
        """Return what was found as the API shows it."""
        return self.report(report_id, found) if isinstance(found, Run) else found.report()

    async def run(self, report_id: str) -> Run | None:
        """Return the newest run of a report, `None` when Temporal does not know it (any more)."""
        handle = self.client.get_workflow_handle(report_id)
        converter = self.client.data_converter
        try:
            async with bounds.temporal(self.client):
                description = await handle.describe(rpc_timeout=bounds.RPC_TIMEOUT)
                pinned = self.client.get_workflow_handle(report_id, run_id=description.run_id)
                history = await pinned.fetch_history(rpc_timeout=bounds.RPC_TIMEOUT)
        except bounds.MissingError:
            return None
        told = await story.read(history.events, converter)
        step = await pending.step(description.raw_description.pending_activities, converter)
        if step is not None and step.picked_up:
            told.picked_up(step.activity_type)
        return Run(description.run_id or "", told, None if told.closed else step)

    def report(self, report_id: str, run: Run) -> Report:
        """Return a run as the API shows it."""
        told, step = run.story, run.step
        output = told.output
        return Report(
            id=report_id,
            status=told.status,
            stage=told.stage,
            title=told.title,
            prompt=told.request.prompt if told.request else None,
            created_at=told.created_at,
            closed_at=told.closed_at,
            attempt=step.attempt if step else 1,
            tokens_so_far=step.tokens if step else None,
            pages_so_far=step.pages if step else None,
            last_failure=step.last_failure if step else None,
            error=told.error,
            model=told.model or None,
            spend=told.spend,
            pages=output.pages if output else None,
            size=output.pdf.size if output and output.pdf else None,
            warnings=output.warnings if output else [],
            links=resource.links(
                report_id,
                completed=told.status is Status.COMPLETED,
                temporal=self._temporal_link(report_id, run.run_id),
            ),
        )

    def just_started(self, report_id: str, run_id: str, request: GenerateReportInput, title: str, model: str) -> Report:
        """Return a report that was started this moment, without asking Temporal for what is known."""
        told = Story(created_at=datetime.now(UTC), title=title, model=model, request=request)
        return self.report(report_id, Run(run_id, told, None))

    async def list(self, *, limit: int, cursor: str | None, status: Status | None) -> ReportList:
        """Return a page of the reports that Temporal retains, in the order of its visibility store.

        Temporal documents no order, but its stores share this one: executions under way first, newest first, then the
        closed ones, last closed first. Another cannot be asked for: its SQL stores take no ORDER BY.

        Raises:
            ProblemError: 422 for a cursor that is not ours, or 503.
        """
        page = self.client.list_workflows(
            f"{_OF_OUR_TYPE} AND {_QUERY[status]}" if status else _OF_OUR_TYPE,
            page_size=limit,
            next_page_token=_decode_cursor(cursor, status),
            rpc_timeout=bounds.RPC_TIMEOUT,
        )
        async with bounds.temporal(self.client):
            await page.fetch_next_page()
            found = [entry for entry in page.current_page or () if ids.is_workflow_id(entry.id)]
            runs = await asyncio.gather(*(self._listed(entry) for entry in found))
        reports = [self.report(entry.id, run) for entry, run in zip(found, runs, strict=True) if run is not None]
        token = page.next_page_token
        return ReportList(
            reports=[
                report.model_copy(update={"prompt": None})
                for report in reports
                if status is None or report.status is status
            ],
            next_cursor=_encode_cursor(token, status) if token else None,
        )

    async def _listed(self, entry: WorkflowExecution) -> Run | None:
        """Return the run of an entry of visibility, `None` when it is not a report's newest one.

        Only a completed run is sure to be the newest one and to have nothing more to tell.
        """
        info = entry.raw_info
        if info.status == Execution.WORKFLOW_EXECUTION_STATUS_COMPLETED:
            return Run(entry.run_id, await self._outline(info), None)
        try:
            async with bounds.temporal(self.client):
                description = await self.client.get_workflow_handle(entry.id).describe(rpc_timeout=bounds.RPC_TIMEOUT)
        except bounds.MissingError:
            return None  # deleted since
        if description.run_id != entry.run_id:
            return None
        return await self._described(description)

    async def _described(self, description: WorkflowExecutionDescription) -> Run | None:
        raw = description.raw_description
        step = await pending.step(raw.pending_activities, self.client.data_converter)
        info = raw.workflow_execution_info
        running = info.status == Execution.WORKFLOW_EXECUTION_STATUS_RUNNING
        if not running or (step is None and info.history_length > _FIRST_WORKFLOW_TASK_EVENTS):
            return await self.run(description.id)  # why it failed, or whether it pauses: only history tells
        told = await self._outline(info)
        if step is not None and (step.picked_up or step.activity_type == "create_pdf"):
            told.status = Status.IN_PROGRESS
            told.stage = Stage.PDF if step.activity_type == "create_pdf" else Stage.RESEARCH
        return Run(description.run_id or "", told, step)

    async def _outline(self, info: WorkflowExecutionInfo) -> Story:
        """Return what can be told of a run without its history."""
        status = _STATUS.get(info.status, Status.QUEUED)
        told = Story(
            created_at=info.start_time.ToDatetime(tzinfo=UTC),
            status=status,
            stage=Stage.DONE if status is Status.COMPLETED else Stage.QUEUED,
            closed_at=info.close_time.ToDatetime(tzinfo=UTC) if info.HasField("close_time") else None,
        )
        await told.read_memo(info.memo, self.client.data_converter)
        return told

    def _temporal_link(self, report_id: str, run_id: str) -> str | None:
        if not self._ui:
            return None
        return f"{self._ui}/namespaces/{self.client.namespace}/workflows/{report_id}/{run_id}/history"


def _encode_cursor(token: bytes, status: Status | None) -> str:
    content = f"{status or ''}:".encode() + token
    return base64.urlsafe_b64encode(_checksum(content) + content).decode()


def _decode_cursor(cursor: str | None, status: Status | None) -> bytes | None:
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    checksum, content = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if not content or checksum != _checksum(content):
        raise invalid("cursor", "it is not one that this list gave out; start again without it")
    of_status, _, token = content.partition(b":")
    if of_status.decode() != (status or ""):
        raise invalid("cursor", "it belongs to a list with another status; start again without it")
    return token


def _checksum(content: bytes) -> bytes:
    """Tell a torn or made-up cursor: Temporal answers one as if it were itself out of order, and the SDK retries."""
    return hashlib.sha256(content).digest()[:_CHECKSUM_BYTES]
