"""Calls of Temporal and the object store that end in time, and whose failures are the client's 503."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

import anyio
from anyio import to_thread
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.service import RPCError, RPCStatusCode

from services.gateway.problems import unavailable

T = TypeVar("T")

READ_SECONDS = 3.0
"""Reads answer in milliseconds; a client that waits longer is better told to come back."""

WRITE_SECONDS = 10.0
"""A start is given longer: under a burst Temporal queues it, and a start given up may have happened all the same."""

# The SDK retries within this and would go on for longer than a client should wait.
RPC_TIMEOUT = timedelta(seconds=READ_SECONDS)
WRITE_RPC_TIMEOUT = timedelta(seconds=WRITE_SECONDS)

# Enough for a burst; a store that hangs cannot take the threads that others need.
_STORE_THREADS = anyio.CapacityLimiter(32)


class MissingError(Exception):
    """Temporal has no such execution, or, when it is to be cancelled, none that still runs."""


@asynccontextmanager
async def temporal(seconds: float | None = READ_SECONDS) -> AsyncIterator[None]:
    """Bound calls of Temporal.

    Args:
        seconds: How long they may take together; `None`: as long as their own timeouts allow (a long poll).

    Raises:
        ProblemError: 503, Temporal is away or refuses.
        MissingError: It answered that there is no such execution.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise unavailable("Temporal", f"no answer in {seconds} s") from error
    except RPCError as error:
        if _is_missing(error):
            raise MissingError from error
        raise unavailable("Temporal", error.status.name.lower().replace("_", " ")) from error
    except RuntimeError as error:
        # What the SDK raises when the first connection fails has no class of its own.
        if "connect" not in str(error):
            raise
        raise unavailable("Temporal", "no connection") from error


def _is_missing(error: RPCError) -> bool:
    """Tell whether Temporal answered that there is no such execution."""
    # A missing namespace is a fault of the set-up, not a report that does not exist.
    no_namespace = any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)
    return error.status is RPCStatusCode.NOT_FOUND and not no_namespace


async def store(call: Callable[..., T], *arguments: object, seconds: float = READ_SECONDS) -> T:
    """Run a blocking call of the object store in a thread.

    Raises:
        ProblemError: 503, it took longer than `seconds`.
        ObjectStoreError: It failed or refused.
    """
    try:
        async with asyncio.timeout(seconds):
            return await to_thread.run_sync(call, *arguments, abandon_on_cancel=True, limiter=_STORE_THREADS)
    except TimeoutError as error:
        raise unavailable("The object store", f"no answer in {seconds:.0f} s") from error
