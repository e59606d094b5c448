"""Record histories for the replay test: `python -m tests.workflow.record v1`."""

import asyncio
import contextlib
import socket
import sys
import uuid
from pathlib import Path

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from services.contracts import queues
from services.contracts.errors import ErrorType
from services.contracts.llm import LLMCallInput, LLMCallOutput
from services.contracts.pdf import PDFGenerationInput, PDFGenerationOutput
from services.contracts.reports import GenerateReportInput, Stage
from services.orchestrator.workflows import GenerateReportWorkflow
from tests.workflow.workers import PDF, Cast, workers

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent / "histories"


def _refuse(call: LLMCallInput, attempt: int) -> LLMCallOutput:
    raise ApplicationError("wrong key", type=ErrorType.AUTHENTICATION, non_retryable=True)


def _second_time(request: PDFGenerationInput, attempt: int) -> PDFGenerationOutput:
    if attempt == 1:
        raise ApplicationError("disk full", type=ErrorType.STORAGE)
    return PDF


async def record(version: str) -> None:
    """Run each kind of report once and keep its history."""
    shapes = {
        "completed": (Cast(), GenerateReportInput("How do tardigrades survive?")),
        "paused": (Cast(), GenerateReportInput("How do tardigrades survive?", pause_seconds=1)),
        "failed": (Cast(research=_refuse), GenerateReportInput("How do tardigrades survive?")),
        "cancelled": (Cast(), GenerateReportInput("How do tardigrades survive?", pause_seconds=600)),
        "retried": (Cast(render=_second_time), GenerateReportInput("How do tardigrades survive?")),
    }
    path = str(Path(sys.executable).parent / "temporal")
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=path) as server:
        for name, (cast, request) in shapes.items():
            async with workers(server.client, cast):
                handle = await server.client.start_workflow(
                    GenerateReportWorkflow.run,
                    request,
                    id=f"report-{uuid.uuid4().hex[:20]}",
                    task_queue=queues.WORKFLOWS,
                )
                if name == "cancelled":
                    while (await handle.query(GenerateReportWorkflow.progress)).stage is not Stage.PAUSE:
                        pass
                    await handle.cancel()
                with contextlib.suppress(WorkflowFailureError):
                    await handle.result()
                history = await handle.fetch_history()
            # Nothing of the machine that recorded it belongs into the history.
            text = history.to_json().replace(str(ROOT), ".").replace(socket.gethostname(), "host")
            (FOLDER / f"{version}-{name}.json").write_text(text)


if __name__ == "__main__":
    asyncio.run(record(sys.argv[1]))
