"""The ways of making a report that are compared, each against the same Temporal server and the same provider."""

import secrets
import sys
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client, WorkflowHandle

from benchmarks import empty
from services.cli.process import LocalProcess
from services.cli.stack import LocalStack
from services.contracts import ids, queues
from services.contracts.reports import GenerateReportInput

PLAIN_QUEUE = "plain"


@dataclass(frozen=True)
class Variant:
    """One way.

    Attributes:
        name: As in the results.
        workflow: Name of the workflow.
        task_queue: Where it runs.
    """

    name: str
    workflow: str
    task_queue: str

    async def start(self, client: Client, prompt: str) -> WorkflowHandle[Any, Any]:
        """Start one report and return its handle."""
        if self is TARDIGRADE:
            argument: object = GenerateReportInput(prompt=prompt)
            workflow_id = ids.workflow_id()
        else:
            argument = prompt
            workflow_id = f"{self.name}-{secrets.token_hex(8)}"
        return await client.start_workflow(self.workflow, argument, id=workflow_id, task_queue=self.task_queue)


EMPTY = Variant("empty", "EmptyWorkflow", empty.TASK_QUEUE)
PLAIN = Variant("plain", "PlainReportWorkflow", PLAIN_QUEUE)
TARDIGRADE = Variant("tardigrade", "GenerateReportWorkflow", queues.WORKFLOWS)


def worker(stack: LocalStack, module: str, name: str) -> LocalProcess:
    """Return a worker of one of the other two, not started; it works once its first workflow has ended.

    Args:
        stack: Whose servers it uses.
        module: `benchmarks.empty` or `benchmarks.plain`.
        name: Of its log file.
    """
    env = {
        **stack.orchestrator.env,
        **stack.provider_env,
        "PYTHONPATH": ":".join(path for path in sys.path if path),
        # As in the LLM worker: otherwise litellm's import waits for GitHub.
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    argv = [sys.executable, "-m", module]
    return LocalProcess(name, argv, env, state_dir=stack.state_dir, url="", ready_path="")
