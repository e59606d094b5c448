"""Run the gateway: `python -m services.gateway`."""

import asyncio
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from services.gateway.app import create_app
from services.gateway.middleware import is_loopback
from services.gateway.settings import GatewaySettings
from services.runtime import logs, temporal
from services.runtime.metrics import TemporalMetrics
from services.runtime.object_store import ObjectStore
from services.runtime.pod_server import PodServer
from services.runtime.settings import EXIT_BAD_SETTING, load
from services.runtime.signals import stop_on_signals
from services.runtime.worker import LOOP_STALL_SECONDS

log = structlog.get_logger("services.gateway")

GRACE_SECONDS = 20
"""For downloads in flight; event streams end at once. Shorter than Kubernetes' default grace of 30 s."""


class Server(uvicorn.Server):
    """uvicorn without its signal handling, which would end the process by the signal instead of with code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the gateway."""
        yield


async def serve(settings: GatewaySettings) -> int:
    """Serve until a signal.

    Returns:
        The exit code: 0 after a signal, 1 when the server ended by itself.
    """
    listener = _listen(settings.gateway_host, settings.gateway_port)
    metrics = TemporalMetrics()
    stop = stop_on_signals()
    app = create_app(
        await temporal.connect(metrics.runtime, lazy=True),
        ObjectStore(settings),
        temporal_ui_url=settings.temporal_ui_url,
        loopback=is_loopback(settings.gateway_host),
        stop=stop,
    )
    server = Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )
    ticked = time.monotonic()

    def live() -> str | None:
        stalled = time.monotonic() - ticked
        return f"the event loop has not answered for {stalled:.0f} s" if stalled > LOOP_STALL_SECONDS else None

    def ready() -> str | None:
        # Also without Temporal or the store: the gateway then answers 503 itself, with a reason.
        return live() if server.started and not stop.is_set() else "stopping" if stop.is_set() else "starting"

    pod = PodServer(settings.pod_http_host, settings.pod_http_port, live=live, ready=ready, temporal=metrics)
    log.info(
        "listening",
        gateway_host=settings.gateway_host,
        gateway_port=listener.getsockname()[1],
        pod_http_port=pod.port,
        settings=settings.printable(),
    )
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not serving.done():
            ticked = time.monotonic()
            await asyncio.wait(
                {serving} if stop.is_set() else {serving, stopping}, timeout=1, return_when=asyncio.FIRST_COMPLETED
            )
            server.should_exit = stop.is_set()
        await serving
    finally:
        stopping.cancel()
        pod.close()
    return 0 if stop.is_set() else 1


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        sys.stderr.write(f"bad setting GATEWAY_PORT: cannot listen on {host}:{port}: {error.strerror}.\n")
        raise SystemExit(EXIT_BAD_SETTING) from error
    # asyncio sets this on its own listeners only; without it small events wait up to 40 ms for the client's ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def main() -> None:
    """Run the gateway; exits with the codes of `services.runtime.worker`."""
    settings = load(GatewaySettings)
    logs.configure("gateway", settings.log_level, settings.log_format)
    code = asyncio.run(serve(settings))
    log.info("stopped", exit_code=code)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
