"""Scale each worker alone: new pods take work, removed ones finish what they hold."""

import re
import time

import pytest

from tests.e2e.conftest import tell
from tests.e2e.service import Service

pytestmark = pytest.mark.timeout(400)

# What a worker's own page counts of its work.
WORK = {
    "orchestrator": r"^temporal_workflow_task_execution_latency_seconds_count\{.*\} (\d+)$",
    "llm-worker": r"^temporal_activity_execution_latency_seconds_count\{.*\} (\d+)$",
    "pdf-worker": r"^temporal_activity_execution_latency_seconds_count\{.*\} (\d+)$",
}


def work_done(service: Service, component: str) -> dict[str, int]:
    """Return for each pod how many tasks it has worked on."""
    return {
        pod.name: sum(map(int, re.findall(WORK[component], service.namespace.metrics(pod.name), re.MULTILINE)))
        for pod in service.namespace.pods(component)
    }


@pytest.mark.parametrize("component", WORK)
def test_up_and_down(service: Service, component: str) -> None:
    deployment = f"deployment/{service.name}-{component}"
    (old,) = service.namespace.pods(component)
    service.namespace.kubectl("scale", deployment, "--replicas=3")
    service.namespace.wait_ready(3, component)

    reports = service.start_many(12, f"scaling {component}", tokens=150, rate=50)
    service.finish(reports[:6], seconds=120)
    more = service.start_many(12, f"scaling {component} down", tokens=150, rate=50)
    done = work_done(service, component)
    assert all(done.values()), f"a pod without work: {done}"
    service.namespace.kubectl("scale", deployment, "--replicas=1")
    ended = service.finish(reports[6:] + more, seconds=150)

    # A pod that had dropped what it held would have had it done again: bought twice, or tried twice.
    assert [report["spend"]["outcomes"] for report in ended] == [{"bought": 1}] * len(ended)
    assert sum(report["spend"]["wasted_tokens"] for report in ended) == 0
    service.namespace.wait_ready(1, component)
    tell(f"  {component}: tasks per pod {sorted(done.values())} of 3 pods; the removed ones dropped nothing")
    assert old.name in done


def test_throughput_of_pdf_workers(service: Service) -> None:
    """What three pods make of it depends on the CPUs there are; it is reported, not judged."""
    rates = []
    for replicas in (1, 3):
        service.namespace.kubectl("scale", f"deployment/{service.name}-pdf-worker", f"--replicas={replicas}")
        service.namespace.wait_ready(replicas, "pdf-worker")
        begun = time.monotonic()
        reports = service.start_many(24, f"throughput {replicas}", tokens=6000, rate=0)
        pages = sum(report["pages"] for report in service.finish(reports, seconds=180))
        seconds = time.monotonic() - begun
        rates.append(f"{replicas} PDF workers: {24 / seconds:.1f} reports/s, {pages / seconds:.0f} pages/s")
    service.namespace.kubectl("scale", f"deployment/{service.name}-pdf-worker", "--replicas=1")
    service.namespace.wait_ready(1, "pdf-worker")
    tell("  throughput, whole reports: " + "; ".join(rates))
