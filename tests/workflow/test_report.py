"""The report workflow on a real Temporal server, in the sandbox, with the history replayed at every task."""

import uuid
from datetime import timedelta

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError
from temporalio.testing import WorkflowEnvironment

from services.contracts import queues
from services.contracts.errors import ErrorType
from services.contracts.llm import Budget, LLMCallInput, LLMCallOutput
from services.contracts.pdf import PDFGenerationInput, PDFGenerationOutput
from services.contracts.reports import GenerateReportInput, GenerateReportOutput, Paper, Stage
from services.orchestrator.workflows import CUT_OFF, GenerateReportWorkflow
from tests.workflow.workers import ANSWER, PDF, Cast, cut_off, workers

Handle = WorkflowHandle[GenerateReportWorkflow, GenerateReportOutput]


async def start(environment: WorkflowEnvironment, request: GenerateReportInput) -> Handle:
    return await environment.client.start_workflow(
        GenerateReportWorkflow.run, request, id=f"report-{uuid.uuid4().hex[:20]}", task_queue=queues.WORKFLOWS
    )


async def time_taken(environment: WorkflowEnvironment, cast: Cast) -> timedelta:
    """Have a report made; return how long that took by the server's clock."""
    async with workers(environment.client, cast):
        handle = await start(environment, GenerateReportInput("x"))
        output = await handle.result()
        description = await handle.describe()
    assert output.pdf == PDF.pdf
    assert description.close_time is not None
    return description.close_time - description.start_time


async def test_a_report_is_made(server: WorkflowEnvironment) -> None:
    cast = Cast()
    async with workers(server.client, cast):
        handle = await start(server, GenerateReportInput("How do tardigrades survive?", max_tokens=5000))
        output = await handle.result()
        progress = await handle.query(GenerateReportWorkflow.progress)
        history = await handle.fetch_history()
    assert output.result.startswith("Successfully created research report PDF:")
    assert (output.pdf, output.markdown, output.pages) == (PDF.pdf, PDF.markdown, PDF.pages)
    assert (output.spend, output.warnings) == (ANSWER.spend, [])
    assert (progress.stage, progress.title, progress.spend) == (Stage.DONE, ANSWER.title, ANSWER.spend)
    (call,) = cast.calls
    assert [message.role for message in call.messages] == ["system", "user"]
    assert call.messages[1].content == "How do tardigrades survive?"
    assert call.budget == Budget(max_tokens=5000)
    (request,) = cast.requests
    assert (request.content, request.filename) == (ANSWER.answer, "how-tardigrades-survive.pdf")
    assert (request.title, request.model, request.paper) == (ANSWER.title, "gpt-4o", Paper.A4)
    # A plain workflow of two activities has 17 events; Temporal's server is the scarce part.
    assert len(history.events) == 17


async def test_the_answer_is_not_in_the_history(server: WorkflowEnvironment) -> None:
    async with workers(server.client, Cast()):
        handle = await start(server, GenerateReportInput("x"))
        await handle.result()
        history = await handle.fetch_history()
    assert max(event.ByteSize() for event in history.events) < 4096


async def test_an_answer_that_the_store_would_not_take_rides_to_the_pdf(server: WorkflowEnvironment) -> None:
    def inline(call: LLMCallInput, attempt: int) -> LLMCallOutput:
        del call, attempt
        return LLMCallOutput(
            ANSWER.answer, ANSWER.usage, ANSWER.spend, ANSWER.outcome, "gpt-4o", "stop", title="T", inline="{}"
        )

    cast = Cast(research=inline)
    async with workers(server.client, cast):
        await (await start(server, GenerateReportInput("x"))).result()
    assert (cast.requests[0].content, cast.requests[0].inline) == (ANSWER.answer, "{}")


async def test_a_cut_off_answer_becomes_a_report_that_says_so(server: WorkflowEnvironment) -> None:
    cast = Cast(research=cut_off)
    async with workers(server.client, cast):
        output = await (await start(server, GenerateReportInput("x"))).result()
    assert output.warnings == [CUT_OFF]
    assert cast.requests[0].warnings == [CUT_OFF]


@pytest.mark.parametrize(("language", "paper"), [("en-US", Paper.LETTER), ("en", Paper.A4), ("de", Paper.A4)])
async def test_the_paper_follows_the_language(server: WorkflowEnvironment, language: str, paper: Paper) -> None:
    cast = Cast()
    async with workers(server.client, cast):
        await (await start(server, GenerateReportInput("x", language=language))).result()
    assert cast.requests[0].paper is paper


async def test_a_permanent_error_fails_the_report_with_its_reason(server: WorkflowEnvironment) -> None:
    def refuse(call: LLMCallInput, attempt: int) -> LLMCallOutput:
        del call, attempt
        raise ApplicationError("wrong key", type=ErrorType.AUTHENTICATION, non_retryable=True)

    cast = Cast(research=refuse)
    async with workers(server.client, cast):
        handle = await start(server, GenerateReportInput("x"))
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
    assert isinstance(failure.value.cause, ActivityError)
    cause = failure.value.cause.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.message) == (ErrorType.AUTHENTICATION, "wrong key")
    assert len(cast.calls) == 1
    assert not cast.requests


async def test_a_full_disk_is_waited_for_and_the_research_is_not_paid_again(fast_server: WorkflowEnvironment) -> None:
    def mended_at_the_500th(request: PDFGenerationInput, attempt: int) -> PDFGenerationOutput:
        del request
        if attempt < 500:
            raise ApplicationError("disk full", type=ErrorType.STORAGE)
        return PDF

    cast = Cast(render=mended_at_the_500th)
    waited = await time_taken(fast_server, cast)
    assert len(cast.calls) == 1
    assert len(cast.requests) == 500
    assert timedelta(hours=3) < waited < timedelta(seconds=500 * 30), "backoff is capped at 30 s"


async def test_however_many_workers_are_lost_the_next_takes_over_within_seconds(
    fast_server: WorkflowEnvironment,
) -> None:
    def lost(call: LLMCallInput, attempt: int) -> LLMCallOutput:
        del call
        if attempt < 100:
            raise RuntimeError("a failure that says nothing of when to come back, as a missing heartbeat's")
        return ANSWER

    assert await time_taken(fast_server, Cast(research=lost)) < timedelta(seconds=100 * 6)


async def test_a_failure_that_names_its_delay_is_tried_again_after_it(fast_server: WorkflowEnvironment) -> None:
    def limited(call: LLMCallInput, attempt: int) -> LLMCallOutput:
        del call
        if attempt == 1:
            raise ApplicationError("slow down", type=ErrorType.RATE_LIMIT, next_retry_delay=timedelta(minutes=10))
        return ANSWER

    assert await time_taken(fast_server, Cast(research=limited)) >= timedelta(minutes=10)


async def test_a_pause_is_durable(fast_server: WorkflowEnvironment) -> None:
    async with workers(fast_server.client, Cast()):
        handle = await start(fast_server, GenerateReportInput("x", pause_seconds=3600))
        await handle.result()
        history = await handle.fetch_history()
    assert EventType.EVENT_TYPE_TIMER_FIRED in {event.event_type for event in history.events}


async def test_a_cancelled_report_keeps_the_research_and_makes_no_pdf(server: WorkflowEnvironment) -> None:
    cast = Cast()
    async with workers(server.client, cast):
        handle = await start(server, GenerateReportInput("x", pause_seconds=3600))
        while (await handle.query(GenerateReportWorkflow.progress)).stage is not Stage.PAUSE:
            pass  # a query goes to the server and back; the test's timeout is the deadline
        await handle.cancel()
        with pytest.raises(WorkflowFailureError) as failure:
            await handle.result()
        progress = await handle.query(GenerateReportWorkflow.progress)
    assert isinstance(failure.value.cause, CancelledError)
    assert progress.spend == ANSWER.spend
    assert not cast.requests


async def test_screens_show_the_stage(server: WorkflowEnvironment) -> None:
    async with workers(server.client, Cast()):
        handle = await start(server, GenerateReportInput("x", pause_seconds=3600))
        while (await handle.query(GenerateReportWorkflow.progress)).stage is not Stage.PAUSE:
            pass
        metadata = await handle.query("__temporal_workflow_metadata")
        history = await handle.fetch_history()
        await handle.terminate()
    assert "**pause**: How tardigrades survive" in str(metadata)
    summaries = [
        event.user_metadata.summary.data.decode() for event in history.events if event.HasField("user_metadata")
    ]
    assert any("research" in summary for summary in summaries)
    assert any("pause" in summary for summary in summaries)
