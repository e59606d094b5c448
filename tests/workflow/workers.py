"""Workers for the workflow's tests: the real workflow in its sandbox, activities that play a part."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from temporalio import activity
from temporalio.client import Client
from temporalio.worker import Worker

from services.contracts import queues
from services.contracts.llm import LLMCallInput, LLMCallOutput, Outcome, Usage
from services.contracts.pdf import PDFGenerationInput, PDFGenerationOutput
from services.contracts.reports import ObjectRef, Spend
from services.orchestrator.workflows import GenerateReportWorkflow

ANSWER = LLMCallOutput(
    answer=ObjectRef("ledger/r/research/0.json", "0" * 64, 10),
    usage=Usage(100, 900),
    spend=Spend(calls=1, input_tokens=100, output_tokens=900, cost_usd=0.01, outcomes={"bought": 1}),
    outcome=Outcome.BOUGHT,
    model="gpt-4o",
    finish_reason="stop",
    title="How tardigrades survive",
)
PDF = PDFGenerationOutput(
    pdf=ObjectRef("reports/r/report.pdf", "1" * 64, 2000),
    markdown=ObjectRef("reports/r/report.md", "2" * 64, 900),
    pages=2,
    bytes=2000,
)


@dataclass
class Cast:
    """The activities and what they were asked.

    Attributes:
        research: Plays `llm_call`; told the attempt's number.
        render: Plays `create_pdf`; likewise.
    """

    research: Callable[[LLMCallInput, int], LLMCallOutput] = lambda _call, _attempt: ANSWER
    render: Callable[[PDFGenerationInput, int], PDFGenerationOutput] = lambda _request, _attempt: PDF
    calls: list[LLMCallInput] = field(default_factory=list)
    requests: list[PDFGenerationInput] = field(default_factory=list)

    @activity.defn(name="llm_call")
    async def llm_call(self, call: LLMCallInput) -> LLMCallOutput:
        """Play the part."""
        self.calls.append(call)
        return self.research(call, activity.info().attempt)

    @activity.defn(name="create_pdf")
    async def create_pdf(self, request: PDFGenerationInput) -> PDFGenerationOutput:
        """Play the part."""
        self.requests.append(request)
        return self.render(request, activity.info().attempt)


def cut_off(call: LLMCallInput, attempt: int) -> LLMCallOutput:
    """Return an answer that ended at the model's limit."""
    del call, attempt
    return dataclasses.replace(ANSWER, finish_reason="length")


@asynccontextmanager
async def workers(client: Client, cast: Cast) -> AsyncIterator[None]:
    """Run the three workers on their queues, as the pods do."""
    async with AsyncExitStack() as stack:
        for worker in (
            Worker(client, task_queue=queues.WORKFLOWS, workflows=[GenerateReportWorkflow], max_cached_workflows=0),
            Worker(client, task_queue=queues.LLM, activities=[cast.llm_call]),
            Worker(
                client,
                task_queue=queues.PDF,
                activities=[cast.create_pdf],
                max_heartbeat_throttle_interval=timedelta(seconds=1),
            ),
        ):
            await stack.enter_async_context(worker)
        yield
