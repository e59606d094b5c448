"""Run the plain worker: `python -m benchmarks.plain`."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

from temporalio.client import Client
from temporalio.worker import Worker

from benchmarks.plain.activities import create_pdf, llm_call
from benchmarks.plain.workflow import PlainReportWorkflow

TASK_QUEUE = "plain"
THREADS = 100
"""As many as the worker has slots by default."""


async def main() -> None:
    """Work until the process is ended."""
    client = await Client.connect(os.environ["TEMPORAL_ADDRESS"])
    with ThreadPoolExecutor(THREADS) as threads:
        await Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[PlainReportWorkflow],
            activities=[llm_call, create_pdf],
            activity_executor=threads,
        ).run()


if __name__ == "__main__":
    asyncio.run(main())
