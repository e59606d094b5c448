"""The report workflow: research, an optional durable pause, the PDF."""

from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from services.contracts import activities, queues
    from services.contracts.llm import Budget, LLMCallInput, LLMCallOutput
    from services.contracts.pdf import PDFGenerationInput, PDFGenerationOutput
    from services.contracts.reports import (
        GenerateReportInput,
        GenerateReportOutput,
        Paper,
        ReportProgress,
        Spend,
        Stage,
    )
    from services.contracts.titles import short_title
    from services.orchestrator import naming, prompts

# Long enough for one attempt that first waits for another attempt's call (at most 1,700 s, see the LLM worker's
# settings) and then makes its own. A dead worker is found by its missing heartbeats long before.
LLM_START_TO_CLOSE = timedelta(hours=1)
# Rendering is limited to minutes by the PDF worker itself; the rest is for a slow store.
PDF_START_TO_CLOSE = timedelta(minutes=15)
HEARTBEAT_TIMEOUT = timedelta(seconds=10)
# These count the time in the queue too, so they bound how long a backlog, a provider's outage or a full disk may last.
LLM_SCHEDULE_TO_CLOSE = timedelta(days=3)
PDF_SCHEDULE_TO_CLOSE = timedelta(days=7)

# Which errors are permanent is decided where they are understood, in the workers; everything else is worth a retry.
# When to come back after an error, the LLM worker says itself. This is for the worker that was lost, which needs no
# patience: however many were lost before, another takes over within seconds.
LLM_RETRIES = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=5))
PDF_RETRIES = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30))

CUT_OFF = "The model's answer was cut off at its output limit, so the report ends early."


@workflow.defn(name="GenerateReportWorkflow")
class GenerateReportWorkflow:
    """Makes one report. What was paid for is in the ledger, so any step may be killed and run again."""

    @workflow.init
    def __init__(self, request: GenerateReportInput) -> None:
        """Start with nothing but the request."""
        self._request = request
        self._stage = Stage.QUEUED
        self._title = short_title(request.prompt)
        self._spend = Spend()
        self._warnings: list[str] = []

    @workflow.query
    def progress(self) -> ReportProgress:
        """Where the report is, and what has been spent so far."""
        return ReportProgress(self._stage, self._title, self._spend, list(self._warnings))

    @workflow.run
    async def run(self, request: GenerateReportInput) -> GenerateReportOutput:
        """Research, pause if asked to, make the PDF."""
        outcome = "failed"
        try:
            research = await self._research(request)
            await self._pause(request.pause_seconds)
            pdf = await self._make_pdf(request, research)
            self._enter(Stage.DONE)
            outcome = "completed"
            return GenerateReportOutput(
                result=f"Successfully created research report PDF: {pdf.pdf.key}",
                pdf=pdf.pdf,
                markdown=pdf.markdown,
                pages=pdf.pages,
                spend=self._spend,
                warnings=self._warnings,
            )
        except BaseException as error:
            outcome = "cancelled" if is_cancelled_exception(error) else "failed"
            raise
        finally:
            _count(outcome)

    async def _research(self, request: GenerateReportInput) -> LLMCallOutput:
        """Turn the request into a Markdown document with sources. Later this is the agentic loop."""
        self._enter(Stage.RESEARCH)
        answer = await workflow.execute_activity(
            activities.llm_call,
            LLMCallInput(
                call_id="research",
                messages=prompts.research(request.prompt, request.language),
                model=request.model,
                budget=Budget(max_cost_usd=request.max_cost_usd, max_tokens=request.max_tokens),
            ),
            task_queue=queues.LLM,
            start_to_close_timeout=LLM_START_TO_CLOSE,
            schedule_to_close_timeout=LLM_SCHEDULE_TO_CLOSE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=LLM_RETRIES,
            # The stream is closed and what arrived is journalled before the report counts as cancelled.
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"research: {self._title}"[:200],
        )
        self._spend = answer.spend
        self._title = answer.title or self._title
        if answer.finish_reason == "length":
            self._warnings.append(CUT_OFF)
        return answer

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            self._enter(Stage.PAUSE)
            await workflow.sleep(timedelta(seconds=seconds), summary="pause asked for: time to kill a worker")

    async def _make_pdf(self, request: GenerateReportInput, research: LLMCallOutput) -> PDFGenerationOutput:
        """Make the PDF from what was paid for. A full disk or a store that is away is waited for, not failed on."""
        self._enter(Stage.PDF)
        pdf = await workflow.execute_activity(
            activities.create_pdf,
            PDFGenerationInput(
                content=research.answer,
                inline=research.inline,
                filename=naming.pdf_filename(self._title),
                title=self._title,
                prompt=request.prompt,
                model=research.model,
                created_at=workflow.info().workflow_start_time.isoformat(timespec="seconds"),
                language=request.language,
                paper=request.paper or (Paper.LETTER if request.language == "en-US" else Paper.A4),
                spend=self._spend,
                warnings=list(self._warnings),
            ),
            task_queue=queues.PDF,
            start_to_close_timeout=PDF_START_TO_CLOSE,
            schedule_to_close_timeout=PDF_SCHEDULE_TO_CLOSE,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=PDF_RETRIES,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"PDF: {self._title}"[:200],
        )
        self._warnings.extend(pdf.fallbacks)
        return pdf

    def _enter(self, stage: Stage) -> None:
        """Move to a stage and say so on Temporal's own screens."""
        self._stage = stage
        spent = "" if not self._spend.calls else f" Spent: {_money(self._spend)}."
        workflow.set_current_details(f"**{stage}**: {self._title}.{spent}")


def _money(spend: Spend) -> str:
    cost = "price unknown" if spend.cost_usd is None else f"{spend.cost_usd:.4f} USD"
    return f"{spend.input_tokens} tokens in, {spend.output_tokens} tokens out, {cost}"


def _count(outcome: str) -> None:
    """Count through the workflow's meter, so that a replay counts nothing."""
    meter = workflow.metric_meter().with_additional_attributes({"outcome": outcome})
    meter.create_counter("tardigrade_reports", "Reports that ended, by outcome.").add(1)
    meter.create_histogram_timedelta("tardigrade_report", "Time from start to end of a report.", "duration").record(
        workflow.now() - workflow.info().workflow_start_time
    )
