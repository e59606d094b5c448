"""Start time and memory of each service: from the spawn of the process until it polls, with the servers already there.

A worker's `/readyz` answers 200 once the Temporal SDK counts a poller; the gateway's, once it can answer requests. The
first start of each service is not counted: it compiles the modules to bytecode, which an image has done already.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.results import progress, result
from services.cli.process import LocalProcess
from services.cli.stack import LocalStack

ASK_EVERY_SECONDS = 0.02
DEADLINE_SECONDS = 60.0


@dataclass(frozen=True)
class Start:
    """One start.

    Attributes:
        milliseconds: From the spawn until it was ready.
        rss: Resident MB of the process and its children then.
        pss: The same with pages that they share counted once.
    """

    milliseconds: float
    rss: float
    pss: float


def start_once(service: LocalProcess) -> Start:
    """Start a service, measure it, and stop it again.

    Raises:
        ProcessNotReadyError: It ended, or was not ready in time.
    """
    begun = time.perf_counter()
    service.start()
    while not service.ready():
        service.check_running()
        if time.perf_counter() - begun > DEADLINE_SECONDS:
            raise service.not_ready("was not ready in time")
        time.sleep(ASK_EVERY_SECONDS)
    milliseconds = (time.perf_counter() - begun) * 1000
    one = Start(milliseconds, processes.rss_bytes(service.pid) / 1e6, processes.pss_bytes(service.pid) / 1e6)
    service.kill()
    return one


def main() -> None:
    """Start the servers, then each service again and again in turn, and print the medians."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--starts", type=int, default=5, help="counted starts of each service (default: 5)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tardigrade-bench-") as folder:
        stack = LocalStack(Path(folder), web_ui=False, in_memory=True)
        services = {
            "orchestrator": stack.orchestrator,
            "llm_worker": stack.llm_worker,
            "pdf_worker": stack.pdf_worker,
            "gateway": stack.gateway,
        }
        measured: dict[str, list[Start]] = {name: [] for name in services}
        try:
            stack.start([stack.temporal, stack.object_store, stack.simulator])
            for number in range(arguments.starts + 1):
                for name, service in services.items():
                    one = start_once(service)
                    progress(f"start {number}: {name} {one.milliseconds:.0f} ms, {one.rss:.0f} MB")
                    if number:
                        measured[name].append(one)
        finally:
            stack.stop()
    for name, starts in measured.items():
        result(
            "start",
            service=name,
            ms_to_first_poll=statistics.median(one.milliseconds for one in starts),
            rss_mb=statistics.median(one.rss for one in starts),
            pss_mb=statistics.median(one.pss for one in starts),
        )


if __name__ == "__main__":
    main()
