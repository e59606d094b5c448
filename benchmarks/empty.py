"""A workflow of two empty activities, the least that Temporal itself takes: `python -m benchmarks.empty`."""

import asyncio
import os
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

TASK_QUEUE = "empty"


@activity.defn
async def nothing() -> None:
    """Do nothing."""


@workflow.defn
class EmptyWorkflow:
    """Runs the activity twice."""

    @workflow.run
    async def run(self, _prompt: str) -> None:
        """Take a prompt as the others do, and do nothing with it."""
        for _ in range(2):
            await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=20))


async def main() -> None:
    """Work until the process is ended."""
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    await Worker(client, task_queue=TASK_QUEUE, workflows=[EmptyWorkflow], activities=[nothing]).run()


if __name__ == "__main__":
    asyncio.run(main())
