"""Metrics: prometheus_client's own and process metrics and the Temporal SDK's, on one page.

The SDK's exporter cannot share a port, so it listens on loopback and is merged. What an activity counts goes through
prometheus_client; what a workflow counts goes through `workflow.metric_meter`, so that a replay counts nothing.
"""

import logging
import socket
import urllib.request

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, REGISTRY, disable_created_metrics, generate_latest
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

# In the text format a counter's creation time is a series of its own, which doubles the page for nothing.
disable_created_metrics()  # type: ignore[no-untyped-call]

SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)
"""From one object's PUT to the longest allowed call of a model; the SDK's own buckets end at 10 s or 60 s."""

# The SDK matches these by substring, so the shorter name also covers its local variant, and the order does not matter.
_SDK_HISTOGRAMS = (
    "activity_execution_latency",
    "activity_succeed_endtoend_latency",
    "activity_schedule_to_start_latency",
    "workflow_endtoend_latency",
    "workflow_task_schedule_to_start_latency",
    "tardigrade_report",
)


class TemporalMetrics:
    """The Temporal SDK's runtime with its exporter on a loopback port. One per process: the SDK allows no second."""

    def __init__(self) -> None:
        """Start the exporter on a free port of the loopback interface."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        self._url = f"http://127.0.0.1:{port}/metrics"
        self.runtime = Runtime(
            telemetry=TelemetryConfig(
                logging=LoggingConfig(
                    filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                    forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
                ),
                metrics=PrometheusConfig(
                    bind_address=f"127.0.0.1:{port}",
                    counters_total_suffix=True,
                    unit_suffix=True,
                    durations_as_seconds=True,
                    histogram_bucket_overrides=dict.fromkeys(_SDK_HISTOGRAMS, SECONDS_BUCKETS),
                ),
                attach_service_name=False,
            )
        )

    def scrape(self) -> str:
        """Return the SDK's page.

        Raises:
            OSError: The exporter does not answer.
        """
        with urllib.request.urlopen(self._url, timeout=2) as response:  # noqa: S310  our own loopback address
            text: str = response.read().decode()
        return text

    def pollers(self) -> float:
        """Return how many pollers the worker has, all kinds together."""
        return sum(
            float(line.rsplit(" ", 1)[1])
            for line in self.scrape().splitlines()
            if line.startswith("temporal_num_pollers{")
        )


def page(temporal: TemporalMetrics | None) -> bytes:
    """Return the pod's metrics in the text format 0.0.4.

    Args:
        temporal: The SDK's metrics; `None` in a service that has no Temporal client.
    """
    own = generate_latest(REGISTRY)
    return own if temporal is None else own + temporal.scrape().encode()
