"""The streams once more through Temporal and a real LLM worker, heartbeats and all."""

import asyncio
import os

import httpx
from temporalio.client import Client

from benchmarks import processes
from benchmarks.results import progress, result
from benchmarks.variants import TARDIGRADE
from services.cli.stack import LocalStack

SETTLE_SECONDS = 3.0


async def measure(stack: LocalStack, streams: int, window: float, rate: float, core: int) -> None:
    """Make reports at once over one LLM worker that has a core for itself, and print what it used.

    Args:
        stack: Everything but the LLM worker runs.
        streams: Reports.
        window: Seconds in which the worker's CPU time and the provider's tokens are counted, while all stream.
        rate: Tokens a second of each stream, as the simulator is set.
        core: Of the LLM worker.
    """
    stack.llm_worker.env["LLM_CONCURRENCY"] = str(streams)
    stack.llm_worker.start()
    os.sched_setaffinity(stack.llm_worker.pid, {core})  # before its first thread, which inherits it
    await asyncio.to_thread(stack.llm_worker.wait_ready, 60)
    pid = stack.llm_worker.pid
    client = await Client.connect(stack.temporal_address)
    tokens = int(rate * (window + 4 * SETTLE_SECONDS))
    directive = f"[[simulator: answer-tokens={tokens}]]"
    handles = [await TARDIGRADE.start(client, f"Stream {number} of a pod {directive}") for number in range(streams)]
    async with httpx.AsyncClient(base_url=stack.simulator_url, trust_env=False) as http:

        async def bill() -> tuple[int, int]:
            answer = (await http.get("/billing", params={"log": "0"})).raise_for_status().json()
            return answer["in_flight"], answer["output_tokens"]

        async with asyncio.timeout(60):
            in_flight = 0
            while in_flight < streams:
                await asyncio.sleep(0.1)
                in_flight, _ = await bill()
        await asyncio.sleep(SETTLE_SECONDS)
        cpu, (_, sent) = processes.cpu_seconds(pid), await bill()
        await asyncio.sleep(window)
        used, (in_flight, sent_then) = processes.cpu_seconds(pid) - cpu, await bill()
    progress(f"pods: {in_flight} streams at once through Temporal; waiting for the reports")
    ends = await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True)
    result(
        "streams",
        variant="tardigrade-pods",
        streams=in_flight,
        completed=sum(not isinstance(end, BaseException) for end in ends),
        delivered=(sent_then - sent) / (streams * rate * window),
        cpu_ms_per_chunk=1000 * used / (sent_then - sent),
        cpu_share=used / window,
    )
