"""Run one worker as a pod: signals, probes, a drain before the end, and exit codes that mean something.

Exit codes: 0, stopped by a signal after the work in flight was finished; 1, the worker ended by itself (Kubernetes
restarts it); 2, a setting is wrong (see `services.runtime.settings`); 130, a second signal cut the drain short.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import Worker, WorkerDeploymentConfig

from services.runtime import logs, temporal
from services.runtime.metrics import TemporalMetrics
from services.runtime.pod_server import PodServer
from services.runtime.settings import PodSettings
from services.runtime.signals import stop_on_signals

log = structlog.get_logger(__name__)

LOOP_STALL_SECONDS = 20.0
"""An event loop that has not ticked for this long is blocked: longer than any pause a busy node explains."""


@dataclass
class Work:
    """What a worker hosts, and how.

    Attributes:
        activities: The activities' functions.
        workflows: The workflow classes.
        max_concurrent_activities: Activities that one pod runs at a time.
        graceful_shutdown: How long the work in flight may go on after a signal; shorter than the pod's
            `terminationGracePeriodSeconds`.
        options: Further arguments of `temporalio.worker.Worker`.
        on_signal: Called once when the pod is asked to stop, before the drain.
        close: Awaited after the drain.
    """

    activities: Sequence[Callable[..., Any]] = ()
    workflows: Sequence[type] = ()
    max_concurrent_activities: int | None = None
    graceful_shutdown: timedelta = timedelta()
    options: dict[str, Any] = field(default_factory=dict)
    on_signal: Callable[[], None] | None = None
    close: Callable[[], Awaitable[None]] | None = None


Prepare = Callable[[], Awaitable[Work]]
"""Imports what is slow and waits for what the worker needs (the object store), while the pod is live, not ready."""


class _State:
    """What the probes look at. Written by the event loop, read by the pod server's thread."""

    def __init__(self) -> None:
        self.ticked = time.monotonic()
        self.phase = "starting"
        self.failed: str | None = None
        self.metrics: TemporalMetrics | None = None
        self.polling = False

    async def tick(self) -> None:
        while True:
            self.ticked = time.monotonic()
            await asyncio.sleep(1)

    def live(self) -> str | None:
        if self.failed:
            return self.failed
        stalled = time.monotonic() - self.ticked
        if self.polling and stalled > LOOP_STALL_SECONDS:
            return f"the event loop has not answered for {stalled:.0f} s"
        if self.polling and self.phase == "polling" and not self._pollers():
            return "the worker is connected but has no pollers"
        return None

    def ready(self) -> str | None:
        if self.phase != "polling":
            return self.phase
        if not self._pollers():
            return "no pollers yet"
        self.polling = True  # from now on their absence is a failure
        return self.live()

    def _pollers(self) -> bool:
        try:
            return self.metrics is not None and self.metrics.pollers() > 0
        except OSError:
            return False


def run(service: str, settings: PodSettings, task_queue: str, prepare: Prepare) -> None:
    """Run a worker until a signal; does not return, but exits with the codes above."""
    logs.configure(service, settings.log_level, settings.log_format)
    code = asyncio.run(_run(settings, task_queue, prepare))
    log.info("stopped", exit_code=code)
    raise SystemExit(code)


async def _run(settings: PodSettings, task_queue: str, prepare: Prepare) -> int:
    state = _State()
    stop = stop_on_signals()
    state.metrics = TemporalMetrics()
    pod = PodServer(
        settings.pod_http_host, settings.pod_http_port, live=state.live, ready=state.ready, temporal=state.metrics
    )
    log.info("starting", task_queue=task_queue, pod_http_port=pod.port, settings=settings.printable())
    ticking = asyncio.create_task(state.tick())
    stopping = asyncio.create_task(stop.wait())
    try:
        state.phase = "waiting for Temporal or the object store"
        starting = asyncio.create_task(_start(state.metrics, prepare))
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return 0
        client, work = starting.result()
        return await _work(client, settings, task_queue, work, state, stopping)
    finally:
        state.polling = False
        ticking.cancel()
        stopping.cancel()
        pod.close()


async def _start(metrics: TemporalMetrics, prepare: Prepare) -> tuple[Client, Work]:
    return await asyncio.gather(temporal.connect(metrics.runtime), prepare())


async def _work(
    client: Client, settings: PodSettings, task_queue: str, work: Work, state: _State, stopping: "asyncio.Task[bool]"
) -> int:
    worker = Worker(
        client,
        task_queue=task_queue,
        activities=work.activities,
        workflows=work.workflows,
        max_concurrent_activities=work.max_concurrent_activities,
        graceful_shutdown_timeout=work.graceful_shutdown,
        deployment_config=_deployment(settings),
        **work.options,
    )
    running = asyncio.create_task(worker.run())
    state.phase = "polling"
    log.info("polling", task_queue=task_queue)
    try:
        await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            # A worker that ends by itself has met a fatal error: a pod that stays would look healthy and do nothing.
            state.failed = "the worker has ended by itself"
            log.error("the worker has ended by itself", exc_info=running.exception())
            return 1
        state.phase = "draining"
        log.info("draining", at_most_seconds=work.graceful_shutdown.total_seconds())
        if work.on_signal is not None:
            work.on_signal()
        await worker.shutdown()
        await running
        return 0
    finally:
        if work.close is not None:
            await work.close()


def _deployment(settings: PodSettings) -> WorkerDeploymentConfig | None:
    """Return the Worker Deployment that Temporal's Worker Controller announces in the environment, if any."""
    if not settings.temporal_deployment_name:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(
            deployment_name=settings.temporal_deployment_name, build_id=settings.temporal_worker_build_id
        ),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )
