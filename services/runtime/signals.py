"""Signals, the same for every pod: as PID 1 Python would ignore SIGTERM, and Temporal's SDK handles none."""

import asyncio
import os
import signal

import structlog

log = structlog.get_logger(__name__)


def stop_on_signals() -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; the second ends the process at once, with 130."""
    stop = asyncio.Event()

    def on_signal(number: signal.Signals) -> None:
        if stop.is_set():
            log.warning("second signal: leaving at once", signal=number.name)
            os._exit(130)
        log.info("signal", signal=number.name)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    return stop
