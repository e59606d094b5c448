"""Reports per second and latency: two empty activities, the plain way, and Tardigrade, side by side on one server.

The provider is the simulator without any delay, so that what is measured is everything around the model. Reports are
started and awaited through Temporal's client, alike for all three. The variants take turns, round by round, so that
whatever else happens on the machine happens to all of them.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks import processes, variants
from benchmarks.results import progress, result
from benchmarks.variants import EMPTY, PLAIN, TARDIGRADE, Variant
from services.cli.guard import Guard
from services.cli.process import LocalProcess
from services.cli.stack import LocalStack

CONCURRENCIES = (50, 1)
WARM_UP_REPORTS = 10
"""Of each variant before anything is counted: caches, connections, the first imports in a thread."""
TIMEOUT_SECONDS = 120


@dataclass
class Measured:
    """One variant at one concurrency, over all rounds.

    Attributes:
        latencies: Seconds of each report, from the start request to the result's arrival.
        elapsed: Seconds of the rounds together.
        cpu: CPU seconds of all servers and workers in them; those that idle for the other variants are included.
    """

    latencies: list[float] = field(default_factory=list)
    elapsed: float = 0.0
    cpu: float = 0.0


async def run_round(client: Client, variant: Variant, reports: int, concurrency: int) -> Measured:
    """Make reports, `concurrency` at a time: a finished one is followed by the next."""
    measured = Measured()
    numbers = iter(range(reports))

    async def one_after_another() -> None:
        for number in numbers:
            begun = time.perf_counter()
            handle = await variant.start(client, f"Report {number} of a benchmark at concurrency {concurrency}")
            await asyncio.wait_for(handle.result(), TIMEOUT_SECONDS)
            measured.latencies.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(min(concurrency, reports))))
    measured.elapsed = time.perf_counter() - begun
    return measured


async def history(client: Client, variant: Variant) -> tuple[int, int]:
    """Return the history events and the activities of one undisturbed report."""
    handle = await variant.start(client, "The report whose history is counted")
    await handle.result()
    events = [event.event_type async for event in handle.fetch_history_events()]
    return len(events), events.count(EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)


def percentile(values: Sequence[float], percent: int) -> float:
    """Return a percentile, interpolated between the values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def cpu_seconds(running: list[LocalProcess]) -> dict[str, float]:
    """Return the CPU time that each process has used so far."""
    return {process.name: processes.cpu_seconds(process.pid) for process in running}


async def measure(
    client: Client, chosen: list[Variant], rounds: int, reports: dict[int, int], running: list[LocalProcess]
) -> None:
    """Run all rounds and print the results; where the CPU time went is told on stderr."""
    counted = {}
    for variant in chosen:
        await run_round(client, variant, WARM_UP_REPORTS, WARM_UP_REPORTS)
        counted[variant] = await history(client, variant)
    for concurrency in CONCURRENCIES:
        totals = {variant: Measured() for variant in chosen}
        for number in range(rounds):
            for variant in chosen:
                before = cpu_seconds(running)
                one = await run_round(client, variant, reports[concurrency], concurrency)
                totals[variant].latencies += one.latencies
                totals[variant].elapsed += one.elapsed
                totals[variant].cpu += sum(cpu_seconds(running).values()) - sum(before.values())
                rate = len(one.latencies) / one.elapsed
                spent = {name: used - before[name] for name, used in cpu_seconds(running).items()}
                per_report = [f"{name} {1000 * used / len(one.latencies):.0f}" for name, used in spent.items() if used]
                progress(
                    f"round {number + 1}, concurrency {concurrency}: {variant.name} {rate:.1f} reports/s; "
                    f"CPU ms a report: {', '.join(per_report)}"
                )
        for variant, total in totals.items():
            events, activities = counted[variant]
            result(
                "pipeline",
                variant=variant.name,
                concurrency=concurrency,
                reports_per_s=len(total.latencies) / total.elapsed,
                p50_ms=percentile(total.latencies, 50) * 1000,
                p99_ms=percentile(total.latencies, 99) * 1000,
                history_events=events,
                activities=activities,
                cpu_ms_per_report=1000 * total.cpu / len(total.latencies),
            )


async def main() -> None:
    """Start everything, measure, stop everything."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pipeline", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reports", type=int, default=100, help="a round at concurrency 50 (default: 100)")
    parser.add_argument("--single-reports", type=int, default=25, help="a round at concurrency 1 (default: 25)")
    parser.add_argument("--variants", nargs="+", choices=["empty", "plain", "tardigrade"], help="default: all")
    arguments = parser.parse_args()
    chosen = [v for v in (EMPTY, PLAIN, TARDIGRADE) if not arguments.variants or v.name in arguments.variants]
    with tempfile.TemporaryDirectory(prefix="tardigrade-bench-") as folder:
        stack = LocalStack(Path(folder), web_ui=False, in_memory=True)
        workers = [
            variants.worker(stack, f"benchmarks.{variant.name}", f"{variant.name}-worker")
            for variant in chosen
            if variant is not TARDIGRADE
        ]
        guard = Guard()
        progress("starting the stack")
        try:
            stack.start()
            for process in workers:
                process.start(guard)
            client = await Client.connect(stack.temporal_address)
            reports = {50: arguments.reports, 1: arguments.single_reports}
            await measure(client, chosen, arguments.rounds, reports, [*stack.processes, *workers])
        finally:
            for process in workers:
                process.kill()
            stack.stop()
            guard.close()


if __name__ == "__main__":
    asyncio.run(main())
