"""Run the orchestrator: `python -m services.orchestrator`."""

from services.contracts import queues
from services.orchestrator.workflows import GenerateReportWorkflow
from services.runtime.settings import PodSettings, load
from services.runtime.worker import Work, run


async def prepare() -> Work:
    """Return the workflows. They hold no external state, so a stop needs no drain beyond the task in hand."""
    # A cached workflow of this kind measured well under 100 KB; 500 keep the pod's memory flat under a burst.
    return Work(workflows=[GenerateReportWorkflow], options={"max_cached_workflows": 500})


if __name__ == "__main__":
    run("orchestrator", load(PodSettings), queues.WORKFLOWS, prepare)
