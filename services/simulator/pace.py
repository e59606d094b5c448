"""When tokens are due."""

import asyncio
import time
from collections.abc import AsyncIterator

TICK_SECONDS = 0.005
"""A stream faster than this writes several tokens at a time: waking for each one would cost more than the token."""

BLOCK_TOKENS = 64
"""Tokens in one write when there is no delay."""


async def pace(tokens: int, ttft: float, tokens_per_second: float) -> AsyncIterator[tuple[int, int]]:
    """Yield the tokens as they fall due, as ranges of indexes (start, stop).

    Args:
        tokens: How many there are.
        ttft: Seconds until the first.
        tokens_per_second: How fast the others follow; 0: at once.
    """
    if ttft:
        await asyncio.sleep(ttft)
    if not tokens_per_second:
        for start in range(0, tokens, BLOCK_TOKENS):
            yield start, min(start + BLOCK_TOKENS, tokens)
            await asyncio.sleep(0)  # the other streams' turn, and that of whoever notices a closed connection
        return
    begin = time.monotonic()
    done = 0
    while done < tokens:
        # The small term absorbs a timer that fires a hair too early.
        due = min(tokens, int((time.monotonic() - begin) * tokens_per_second + 0.05) + 1)
        if due > done:
            yield done, due
            done = due
        if done < tokens:
            await asyncio.sleep(max(TICK_SECONDS, begin + done / tokens_per_second - time.monotonic()))
