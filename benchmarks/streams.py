"""How many streams of 50 tokens a second one process on one core carries before it falls behind, journal on.

The reader has a core of its own; the simulator and the object store share another. `tardigrade` is the LLM worker's way
with OpenAI-compatible servers, `litellm` its way with all others; both keep the ledger. The `bare` ones keep none. A
reader falls behind when it receives less than 97 % of the tokens, or the end of an answer more than a second late.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks import stream_pods
from benchmarks.results import progress, result
from services.cli.stack import LocalStack

READERS = ("tardigrade", "litellm", "bare-tardigrade", "bare-litellm", "bare-openai", "bare-sse")
"""As in `benchmarks.stream_readers`, which takes seconds to import."""
TOKENS_PER_SECOND = 50.0
ENOUGH = 0.97
LATEST_SECONDS = 1.0
REFERENCE_STREAMS = 20
"""At this load every reader keeps up, and the CPU time a piece is compared."""
FIRST_STEP = 0.6
STEP = 0.1
"""Both as a part of the streams that the CPU time at the reference would allow."""


@dataclass(frozen=True)
class Load:
    """What a reader did with a number of streams.

    Attributes:
        streams: How many.
        delivered: Part of the tokens sent in the window that arrived in it.
        cpu_ms_per_chunk: CPU time of the process, all its threads, a piece received.
        cpu_share: Part of the core that it used.
        end_delays_ms: Median and greatest time from the provider's end of an answer until it was read (and recorded).
        provider_late: Seconds that the slowest stream was late at the provider itself.
    """

    streams: int
    delivered: float
    cpu_ms_per_chunk: float
    cpu_share: float
    end_delays_ms: tuple[float, float]
    provider_late: float

    @property
    def keeps_up(self) -> bool:
        """Whether the reader does not fall behind."""
        return self.delivered >= ENOUGH and self.end_delays_ms[1] <= LATEST_SECONDS * 1000

    @property
    def provider_keeps_up(self) -> bool:
        """Whether the simulator does not; where it does, the reader was not tried to its limit."""
        return self.provider_late <= LATEST_SECONDS / 2


class Bench:
    """The servers, and the loads against them."""

    def __init__(self, stack: LocalStack, core: int, window: float) -> None:
        self._stack = stack
        self._core = core
        self._window = window

    def load(self, reader: str, streams: int) -> Load:
        """Let a fresh process read some streams."""
        argv = [sys.executable, "-m", "benchmarks.stream_load", reader, str(streams)]
        argv += ["--core", str(self._core), "--window", str(self._window), "--rate", str(TOKENS_PER_SECOND)]
        argv += ["--simulator", self._stack.simulator_url]
        limits = {"LLM_CONCURRENCY": "1000", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        env = {**os.environ, **self._stack.s3_env, **self._stack.provider_env, **limits}
        answer = subprocess.run(argv, env=env, check=True, stdout=subprocess.PIPE)
        measured = json.loads(answer.stdout.splitlines()[-1])
        one = Load(
            streams=streams,
            delivered=measured["pieces_per_s"] / (streams * TOKENS_PER_SECOND),
            cpu_ms_per_chunk=1000 * measured["cpu_s"] / measured["pieces"],
            cpu_share=measured["cpu_s"] / measured["seconds"],
            end_delays_ms=(1000 * statistics.median(measured["delays"]), 1000 * max(measured["delays"])),
            provider_late=measured["provider_late"],
        )
        progress(
            f"{reader}, {streams} streams: {one.delivered:.1%} of the tokens, {one.cpu_share:.0%} of the core, "
            f"{one.cpu_ms_per_chunk:.3f} ms a chunk; ends late by {one.end_delays_ms[0]:.0f} ms, "
            f"at most {one.end_delays_ms[1]:.0f} ms; the provider by {1000 * one.provider_late:.0f} ms"
            f"{'' if one.keeps_up else ': falls behind'}"
        )
        return one

    def most(self, reader: str, reference: Load) -> tuple[Load, bool]:
        """Return the greatest load that a reader carried, and whether it was the reader that ended the search."""
        possible = 1000 / (reference.cpu_ms_per_chunk * TOKENS_PER_SECOND)
        step = max(1, round(possible * STEP))
        streams = max(reference.streams, round(possible * FIRST_STEP))
        one = self._try(reader, streams)
        while not one.keeps_up and streams - step > reference.streams:
            streams -= step
            one = self._try(reader, streams)
            if one.keeps_up:
                return one, True
        best = reference
        while one.keeps_up:
            best = one
            streams += step
            one = self._try(reader, streams)
        return best, one.provider_keeps_up

    def _try(self, reader: str, streams: int) -> Load:
        """Load a reader, once more if it falls behind: something else may have run on its core."""
        one = self.load(reader, streams)
        return one if one.keeps_up else self.load(reader, streams)


def main() -> None:
    """Start the servers, try each reader, print the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.streams", description=__doc__)
    parser.add_argument(
        "--variants", nargs="+", choices=READERS, default=READERS, metavar="NAME", help=", ".join(READERS)
    )
    parser.add_argument("--pods", type=int, default=100, help="streams through Temporal and real pods; 0: none")
    parser.add_argument("--window", type=float, default=6, help="seconds that are measured of each load (default: 6)")
    arguments = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("This benchmark needs two cores: one for the reader, one for the servers.")
    os.sched_setaffinity(0, {cores[1]})  # inherited by the servers
    references: dict[str, Load] = {}
    with tempfile.TemporaryDirectory(prefix="tardigrade-bench-") as folder:
        pace = ["--tokens-per-second", str(TOKENS_PER_SECOND)]
        stack = LocalStack(Path(folder), simulator_options=pace, web_ui=False, in_memory=True)
        bench = Bench(stack, cores[0], arguments.window)
        try:
            stack.start([stack.object_store, stack.simulator])
            for name in arguments.variants:
                references[name] = bench.load(name, REFERENCE_STREAMS)
            for name, reference in references.items():
                most, to_its_limit = bench.most(name, reference)
                bare = references.get(f"bare-{name}")
                journal = {}
                if bare is not None:
                    each = reference.cpu_ms_per_chunk - bare.cpu_ms_per_chunk
                    journal = {"cpu_ms_per_journalled_s": each * TOKENS_PER_SECOND}
                result(
                    "streams",
                    variant=name,
                    streams_per_core=most.streams,
                    cpu_ms_per_chunk=most.cpu_ms_per_chunk,
                    **journal,
                    cpu_share=most.cpu_share,
                    end_delay_p50_ms=most.end_delays_ms[0],
                    end_delay_max_ms=most.end_delays_ms[1],
                    limited_by="reader" if to_its_limit else "simulator",
                )
            if arguments.pods:
                stack.start([stack.temporal, stack.orchestrator, stack.pdf_worker])
                asyncio.run(stream_pods.measure(stack, arguments.pods, arguments.window, TOKENS_PER_SECOND, cores[0]))
        finally:
            stack.stop(grace_seconds=1)


if __name__ == "__main__":
    main()
