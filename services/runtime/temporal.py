"""The connection to Temporal, from the standard variables, waited for as long as it takes."""

import asyncio
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.service import RPCError

log = structlog.get_logger(__name__)

DEFAULT_ADDRESS = "localhost:7233"
_MAX_WAIT_SECONDS = 5.0
# Where packets are dropped (a NetworkPolicy, a firewall) TCP alone would say nothing for two minutes.
_CONNECT_TIMEOUT = timedelta(seconds=5)


async def connect(runtime: Runtime | None = None, *, lazy: bool = False) -> Client:
    """Connect to Temporal, retrying until it answers; each new reason is logged once.

    A server that is away is no reason to exit: on Kubernetes that would turn its restart into everybody's.

    Args:
        runtime: The SDK's runtime with the pod's metrics; `None`: the SDK's default.
        lazy: Return at once and connect at the first call (clients that answer 503 themselves; workers cannot).

    Raises:
        SystemExit: The variables themselves are wrong.
    """
    try:
        config = ClientConfig.load_client_connect_config()
    except (ValueError, OSError, RuntimeError) as error:
        raise SystemExit(f"bad setting TEMPORAL_…: {error}") from error
    config.setdefault("target_host", DEFAULT_ADDRESS)
    wait, said = 0.25, ""
    while True:
        try:
            client = await Client.connect(**config, runtime=runtime, lazy=lazy, connect_timeout=_CONNECT_TIMEOUT)
        except (RPCError, RuntimeError) as error:
            reason = _reason(error)
            if reason != said:
                log.warning("waiting for Temporal", address=config["target_host"], reason=reason)
                said = reason
            await asyncio.sleep(wait)
            wait = min(wait * 2, _MAX_WAIT_SECONDS)
        else:
            if not lazy:
                log.info("connected to Temporal", address=config["target_host"], namespace=client.namespace)
            return client


def _reason(error: BaseException) -> str:
    """Return the first line of an error: the SDK's carry a whole chain of debug output."""
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
