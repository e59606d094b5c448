"""Read many streams at once in one process on one core, and print what that took: started by `benchmarks.streams`."""

import argparse
import asyncio
import json
import os
import secrets
import time
from typing import Any

import httpx

from benchmarks.accounting import prompt_hash
from benchmarks.stream_readers import READERS, Reader
from services.llm_worker.settings import LLMSettings

RAMP_SECONDS = 2.0
"""The streams begin one after the other over this time."""


async def load(reader: Reader, streams: int, window: float, rate: float, simulator: str) -> dict[str, Any]:
    """Read `streams` streams at once.

    Args:
        reader: How.
        streams: How many; each lasts from its start in the ramp through the whole window.
        window: Seconds in which all streams run and CPU time and pieces are counted.
        rate: Tokens a second of each stream, as the simulator is set.
        simulator: Its address.

    Returns:
        Pieces a second and CPU seconds of the window; for each stream, how late its end was here, measured from the
        provider's own end of it, and how late the provider itself was, in seconds.
    """
    await reader.read("Warm up [[simulator: answer-tokens=20]]")
    tokens = int(rate * (RAMP_SECONDS + window + 2))
    name = secrets.token_hex(4)
    prompts = [f"Stream {name} {number} [[simulator: answer-tokens={tokens}]]" for number in range(streams)]
    ended: dict[str, float] = {}

    async def one(number: int) -> None:
        await asyncio.sleep(RAMP_SECONDS * number / streams)
        await reader.read(prompts[number])
        ended[prompt_hash(prompts[number])] = time.monotonic()

    async def watch() -> tuple[int, float, float]:
        await asyncio.sleep(RAMP_SECONDS + 1)
        pieces, cpu, clock = reader.pieces, time.process_time(), time.monotonic()
        await asyncio.sleep(window)
        return reader.pieces - pieces, time.process_time() - cpu, time.monotonic() - clock

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(one(number) for number in range(streams)))
    pieces, cpu, seconds = await watching
    async with httpx.AsyncClient(trust_env=False) as http:
        bill = (await http.get(f"{simulator}/billing")).raise_for_status().json()
    requests = {entry["prompt_hash"]: entry for entry in bill["requests_log"]}
    nominal = (tokens - 1) / rate
    return {
        "pieces_per_s": pieces / seconds,
        "cpu_s": cpu,
        "seconds": seconds,
        "pieces": pieces,
        "delays": [end - requests[prompt]["closed_at"] for prompt, end in ended.items()],
        "provider_late": max(
            requests[prompt]["closed_at"] - requests[prompt]["started_at"] - nominal for prompt in ended
        ),
    }


async def main() -> None:
    """Read and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("reader", choices=list(READERS))
    parser.add_argument("streams", type=int)
    parser.add_argument("--core", type=int, required=True)
    parser.add_argument("--window", type=float, required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--simulator", required=True)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {arguments.core})
    reader = await READERS[arguments.reader].open(LLMSettings())
    measured = await load(reader, arguments.streams, arguments.window, arguments.rate, arguments.simulator)
    print(json.dumps(measured))


if __name__ == "__main__":
    asyncio.run(main())
