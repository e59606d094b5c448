"""Calls of Temporal and the object store that end in time, and whose failures are the client's 503."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TypeVar

import anyio
from anyio import to_thread
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.gateway.problems import unavailable

T = TypeVar("T")

PROBE_SECONDS = 2.0
"""A call that takes longer than this is suspicious, since Temporal answers in milliseconds; so it is asked for its
health. Away it is given up then; busy (a burst of starts queues for its database) it is waited for."""

PATIENCE_SECONDS = 25.0
"""How long a busy Temporal is waited for: less than the 30 s after which clients and proxies give up themselves. A
start that is given up may have happened all the same."""

RPC_TIMEOUT = timedelta(seconds=PATIENCE_SECONDS)

STORE_SECONDS = 5.0
"""The store answers in milliseconds; a client that waits longer is better told to come back."""

# Enough for a burst; a store that hangs cannot take the threads that others need.
_STORE_THREADS = anyio.CapacityLimiter(32)


class MissingError(Exception):
    """Temporal has no such execution, or, when it is to be cancelled, none that still runs."""


@asynccontextmanager
async def temporal(client: Client) -> AsyncIterator[None]:
    """Bound calls of Temporal: for as long as it is healthy, and no longer than `PATIENCE_SECONDS`.

    Raises:
        ProblemError: 503, Temporal is away, too busy or refuses.
        MissingError: It answered that there is no such execution.
    """
    async with translated(), asyncio.timeout(PATIENCE_SECONDS) as scope:
        watching = asyncio.create_task(_watch(client, scope))
        try:
            yield
        finally:
            watching.cancel()


async def _watch(client: Client, scope: asyncio.Timeout) -> None:
    """End the scope when Temporal does not answer a question that costs it nothing."""
    healthy = True
    while healthy:
        await asyncio.sleep(PROBE_SECONDS)
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                healthy = await client.service_client.check_health()
        except (TimeoutError, RPCError, RuntimeError):
            healthy = False
    scope.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Turn the SDK's errors into ours, as `temporal` does, without a bound: for a long poll, which has its own."""
    try:
        yield
    except TimeoutError as error:
        raise unavailable("Temporal", "no answer in time") from error
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
    # A missing namespace is a fault of the set-up, not a report that does not exist.
    no_namespace = any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)
    return error.status is RPCStatusCode.NOT_FOUND and not no_namespace


async def store(call: Callable[..., T], *arguments: object, seconds: float = STORE_SECONDS) -> T:
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
