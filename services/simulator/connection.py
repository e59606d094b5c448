"""Noticing that a client went away."""

import asyncio
from collections.abc import Coroutine

from starlette.types import Receive


async def _until_gone(receive: Receive) -> None:
    """Wait until the client has closed the connection. The request's body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def forever() -> None:
    """Wait without end: what a provider does that hangs."""
    await asyncio.get_running_loop().create_future()


async def while_connected(work: Coroutine[object, object, None], receive: Receive) -> bool:
    """Run something for as long as the client is there.

    Returns:
        Whether it came to its end; if not, it was cancelled because the client went away.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        return False
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)
