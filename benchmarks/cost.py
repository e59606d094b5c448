"""Tokens billed while workers are killed: Tardigrade on each kind of provider, and the plain way.

Reports arrive steadily; two workers call the model; one of them gets SIGKILL every few seconds, in turn, and is started
again at once. The simulator bills. The re-buy limit is raised, so that the kind of provider alone decides the bill.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from temporalio.client import Client, WorkflowHandle

from benchmarks import accounting, variants
from benchmarks.results import progress, result
from benchmarks.variants import PLAIN, TARDIGRADE
from services.cli.guard import Guard
from services.cli.process import LocalProcess
from services.cli.stack import LocalStack
from services.runtime.object_store import ObjectStore
from services.runtime.settings import ObjectStoreSettings

RESUME = {"plain": "off", "prefix": "prefix", "background": "background"}
"""Variant to `LLM_RESUME`."""
PLAIN_TEMPORAL = "plain-temporal"
REBUY_LIMIT = 100


@dataclass(frozen=True)
class Plan:
    """What is done to each variant.

    Attributes:
        reports: How many are made.
        tokens: Of each answer.
        arrivals: Reports started a second.
        kill_every: Seconds between two kills.
        deadline: Seconds after which what is not completed counts as lost.
    """

    reports: int
    tokens: int
    arrivals: float
    kill_every: float
    deadline: float


@contextlib.asynccontextmanager
async def killing(workers: list[LocalProcess], every: float) -> AsyncIterator[list[float]]:
    """Kill one worker after the other for as long as the block runs; yields the times of the kills."""
    kills: list[float] = []

    async def kill_in_turn() -> None:
        while True:
            await asyncio.sleep(every)
            worker = workers[len(kills) % len(workers)]
            worker.kill()
            worker.start()
            kills.append(time.monotonic())

    task = asyncio.create_task(kill_in_turn())
    try:
        yield kills
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def make_reports(client: Client, name: str, plan: Plan) -> tuple[dict[str, str], int]:
    """Make all reports.

    Returns:
        Report id to prompt, and how many were completed in time.
    """
    variant = PLAIN if name == PLAIN_TEMPORAL else TARDIGRADE
    deadline = time.monotonic() + plan.deadline
    prompts: dict[str, str] = {}
    waiting: list[asyncio.Task[bool]] = []
    for number in range(plan.reports):
        prompt = f"Report {number} of the cost benchmark, variant {name}"
        handle = await variant.start(client, prompt)
        prompts[handle.id] = prompt
        waiting.append(asyncio.create_task(_completed(handle, deadline)))
        await asyncio.sleep(1 / plan.arrivals)
    completed = 0
    for ended in asyncio.as_completed(waiting):
        if await ended:
            completed += 1
            if completed % 10 == 0:
                progress(f"{name}: {completed} of {plan.reports} completed")
    return prompts, completed


async def _completed(handle: WorkflowHandle[Any, Any], deadline: float) -> bool:
    try:
        async with asyncio.timeout(deadline - time.monotonic()):
            await handle.result()
    except TimeoutError:
        await handle.terminate("the benchmark's deadline has passed")
        return False
    return True


async def measure(stack: LocalStack, client: Client, name: str, workers: list[LocalProcess], plan: Plan) -> bool:
    """Run one variant and print its result and its account.

    Returns:
        Whether the bill is accounted for.
    """
    billing = f"{stack.simulator_url}/billing"
    async with httpx.AsyncClient(trust_env=False) as http:
        (await http.delete(billing)).raise_for_status()
        begun = time.monotonic()
        async with killing(workers, plan.kill_every) as kills:
            reports, completed = await make_reports(client, name, plan)
        seconds = time.monotonic() - begun
        for worker in workers:
            worker.signal(signal.SIGTERM)
        bill = (await http.get(billing)).raise_for_status().json()
        while bill["in_flight"]:  # a lost background response runs, and is billed, to its end
            await asyncio.sleep(0.5)
            bill = (await http.get(billing)).raise_for_status().json()
    ideal = accounting.ideal_tokens(bill, plan.tokens)
    result(
        "cost",
        variant=name,
        reports=plan.reports,
        completed=completed,
        requests=bill["requests"],
        tokens_billed=bill["tokens"],
        tokens_ideal=ideal,
        ratio=bill["tokens"] / ideal,
        prefix_tokens=bill["prefix_tokens"],
        ratio_without_prefixes=(bill["tokens"] - bill["prefix_tokens"]) / ideal,
        kills=len(kills),
        seconds=seconds,
    )
    if name == PLAIN_TEMPORAL:
        return True
    return _print_account(name, accounting.compare(_store(stack), bill, reports))


def _print_account(name: str, account: accounting.Account) -> bool:
    unsent = account.attempts - account.requests
    progress(
        f"{name}: {account.requests} requests billed = {account.attempts} attempts in the registers "
        f"- {unsent} killed before sending"
    )
    for line in account.killed_before_sending:
        progress(f"  {line}")
    for line in account.unaccounted:
        progress(f"  NOT ACCOUNTED FOR: {line}")
    return not account.unaccounted


def _store(stack: LocalStack) -> ObjectStore:
    os.environ.update(stack.s3_env)  # boto3's own variables are the only way to name the store
    return ObjectStore(ObjectStoreSettings())


async def run(stack: LocalStack, guard: Guard, chosen: list[str], plan: Plan) -> bool:
    """Run the variants one after the other; returns whether every bill is accounted for."""
    stack.start([stack.temporal, stack.object_store, stack.simulator, stack.orchestrator, stack.pdf_worker])
    client = await Client.connect(stack.temporal_address)
    llm_workers = [stack.llm_worker, stack.add_worker("llm_worker")]
    plain_workers = [variants.worker(stack, "benchmarks.plain", f"plain-worker-{number}") for number in (1, 2)]
    accounted = True
    for name in chosen:
        progress(f"{name}: starting two workers")
        workers = plain_workers if name == PLAIN_TEMPORAL else llm_workers
        for worker in workers:
            worker.kill()
            if name in RESUME:
                worker.env |= {"LLM_RESUME": RESUME[name], "LLM_REBUY_LIMIT": str(REBUY_LIMIT)}
            worker.start(guard)
        if name in RESUME:
            for worker in workers:
                worker.wait_ready(60)
        else:
            await (await PLAIN.start(client, "Warm up")).result()
        accounted &= await measure(stack, client, name, workers, plan)
        for worker in workers:
            worker.kill()
    return accounted


def main() -> None:
    """Start everything, measure, stop everything; exit code 1 if a bill is not accounted for."""
    names = [PLAIN_TEMPORAL, *RESUME]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cost", description=__doc__)
    parser.add_argument("--variants", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--reports", type=int, default=60, help="default: 60")
    parser.add_argument("--tokens", type=int, default=400, help="of an answer (default: 400)")
    parser.add_argument("--tokens-per-second", type=float, default=100, help="of a stream (default: 100)")
    parser.add_argument("--arrivals", type=float, default=2, help="reports started a second (default: 2)")
    parser.add_argument("--kill-every", type=float, default=5, help="seconds between two kills (default: 5)")
    parser.add_argument("--deadline", type=float, default=1200, help="seconds for one variant (default: 1200)")
    arguments = parser.parse_args()
    plan = Plan(arguments.reports, arguments.tokens, arguments.arrivals, arguments.kill_every, arguments.deadline)
    pace = ["--answer-tokens", str(plan.tokens), "--tokens-per-second", str(arguments.tokens_per_second)]
    with tempfile.TemporaryDirectory(prefix="tardigrade-bench-") as folder:
        stack = LocalStack(Path(folder), simulator_options=pace, web_ui=False, in_memory=True)
        guard = Guard()
        try:
            accounted = asyncio.run(run(stack, guard, arguments.variants, plan))
        finally:
            guard.close()
            stack.stop(grace_seconds=1)
    sys.exit(not accounted)


if __name__ == "__main__":
    main()
