"""What changes reports: create, cancel, retry, delete. Each may be sent again without harm."""

from contextlib import suppress
from dataclasses import replace

import structlog
from temporalio.api.common.v1 import WorkflowExecution as WorkflowExecutionRef
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from services.contracts import ids, queues
from services.contracts.reports import GenerateReportInput
from services.contracts.titles import short_title
from services.gateway import bounds, kept
from services.gateway.problems import ProblemError, conflict, invalid, not_found
from services.gateway.reports import Reports, Run
from services.gateway.requests import body_sha256
from services.gateway.resource import Report, Status
from services.runtime.object_store import ObjectStoreError

log = structlog.get_logger(__name__)

IDEMPOTENCY_KEY = "Idempotency-Key"
_MAX_SUMMARY_BYTES = 400
"""Temporal's default limit of a summary (`limit.userMetadataSummarySize`)."""


class Changes:
    """Writes to Temporal and the object store on behalf of the API."""

    def __init__(self, reports: Reports) -> None:
        """Work on the same two places as the read model."""
        self._reports = reports
        self._client = reports.client
        self._store = reports.store

    async def create(self, request: GenerateReportInput, key: str | None) -> tuple[Report, bool]:
        """Start a report, or return the one that the same key and body have started already.

        Returns:
            The report, and whether it was started by this very request.

        Raises:
            ProblemError: 422 for a key that came with another body, or 503.
        """
        report_id = ids.workflow_id(key)
        sha256 = body_sha256(request)
        if key is None or not await self._is_finished(report_id):
            try:
                return await self._start(report_id, request, sha256, request.model), True
            except WorkflowAlreadyStartedError:
                log.debug("sent again", workflow_id=report_id)
        found = await self._reports.find(report_id)
        if found is None:
            raise conflict("The report with this key was just deleted. Use a new key, or try again in a minute.")
        same = found.story.body_sha256 == sha256 if isinstance(found, Run) else found.made_from(request)
        if not same:
            raise invalid(
                IDEMPOTENCY_KEY,
                "it came before with another body; use a new key for a new report, or send the same body",
            )
        return self._reports.show(report_id, found), False

    async def _is_finished(self, report_id: str) -> bool:
        """Tell whether the bucket has the report, which Temporal may have forgotten, so that it is not run again."""
        try:
            return await kept.read(self._store, report_id) is not None
        except (ObjectStoreError, ProblemError) as error:
            # Accepting is worth more than certainty here: Temporal still refuses a key it retains, and the ledger
            # keeps what was bought from being bought again.
            log.warning("cannot look for an earlier report with this key", workflow_id=report_id, reason=str(error))
            return False

    async def _start(
        self,
        report_id: str,
        request: GenerateReportInput,
        sha256: str,
        model: str,
        reuse: WorkflowIDReusePolicy = WorkflowIDReusePolicy.REJECT_DUPLICATE,
    ) -> Report:
        title = short_title(request.prompt)
        async with bounds.temporal(self._client):
            handle = await self._client.start_workflow(
                "GenerateReportWorkflow",
                request,
                id=report_id,
                task_queue=queues.WORKFLOWS,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=reuse,
                memo={"title": title, "body_sha256": sha256, "model": model},
                static_summary=title.encode()[:_MAX_SUMMARY_BYTES].decode(errors="ignore"),
                rpc_timeout=bounds.RPC_TIMEOUT,
            )
        log.info("report started", workflow_id=report_id, run_id=handle.first_execution_run_id)
        return self._reports.just_started(report_id, handle.first_execution_run_id or "", request, title, model)

    async def cancel(self, report_id: str) -> Report:
        """Ask a report to stop; one that has ended stays as it is.

        Raises:
            ProblemError: 404 or 503.
        """
        try:
            async with bounds.temporal(self._client):
                await self._client.get_workflow_handle(report_id).cancel(rpc_timeout=bounds.RPC_TIMEOUT)
        except bounds.MissingError:
            log.debug("nothing to cancel", workflow_id=report_id)
        return await self._reports.get(report_id)

    async def retry(self, report_id: str, model: str | None) -> Report:
        """Run a failed or cancelled report again under the same ledger: what was recorded is not paid again.

        Args:
            report_id: The report.
            model: Another model for what is still to be bought; `None`: the one it had.

        Raises:
            ProblemError: 404, 409 for a report that neither failed nor was cancelled, or 503.
        """
        run = await self._reports.run(report_id)
        if run is None:
            finished = await self._reports.get(report_id)
            raise conflict(f"The report is {finished.status}; only one that failed or was cancelled can be retried.")
        told = run.story
        if told.status not in (Status.FAILED, Status.CANCELLED) or told.request is None:
            raise conflict(f"The report is {told.status}; only one that failed or was cancelled can be retried.")
        request = told.request if model is None else replace(told.request, model=model)
        try:
            return await self._start(
                report_id,
                request,
                # The first body's: a client that sends its first request again gets this report.
                told.body_sha256,
                request.model,
                WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            )
        except WorkflowAlreadyStartedError:
            return await self._reports.get(report_id)  # another retry was first

    async def delete(self, report_id: str) -> None:
        """Delete a report that has ended: its objects, its ledger, its executions in Temporal.

        The objects go first, so that a delete that breaks off can be sent again. Temporal deletes in the background.

        Raises:
            ProblemError: 404, 409 while it runs, or 503.
        """
        run = await self._reports.run(report_id)
        if run is not None and not run.story.closed:
            raise conflict("The report is still running; cancel it first.")
        keys = await bounds.store(self._keys, report_id)
        if run is None and not keys:
            raise not_found(report_id)
        await bounds.store(self._store.delete, keys, seconds=bounds.PATIENCE_SECONDS)
        async with bounds.temporal(self._client):
            if run is not None:
                await self._forget(report_id, run.run_id)
            async for entry in self._client.list_workflows(
                f"WorkflowId = '{report_id}'", rpc_timeout=bounds.RPC_TIMEOUT
            ):
                if entry.close_time is not None:
                    await self._forget(report_id, entry.run_id)
        log.info("report deleted", workflow_id=report_id, objects=len(keys))

    def _keys(self, report_id: str) -> list[str]:
        return [
            *self._store.keys(ids.report_prefix(report_id)),
            *self._store.keys(ids.ledger_prefix(report_id)),
        ]

    async def _forget(self, report_id: str, run_id: str) -> None:
        """Delete one run from Temporal. Always by its run id: without one a run started since would be terminated."""
        execution = WorkflowExecutionRef(workflow_id=report_id, run_id=run_id)
        request = DeleteWorkflowExecutionRequest(namespace=self._client.namespace, workflow_execution=execution)
        with suppress(bounds.MissingError):
            async with bounds.temporal(self._client):
                await self._client.workflow_service.delete_workflow_execution(
                    request, retry=True, timeout=bounds.RPC_TIMEOUT
                )
