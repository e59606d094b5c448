"""Kill everything, in every way, while 30 reports run."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.conftest import IMAGE_TAG, IMAGES, PODS, tell
from tests.e2e.kube import Namespace, Pod, remove, until
from tests.e2e.service import Report, Service

REPORTS = 30

# Finds the processes of a container from the node's side, where also a container's first process can be killed.
KILL = """
import os, pathlib, signal, sys
killed = 0
for process in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        if sys.argv[1] in (process / "cgroup").read_text():
            os.kill(int(process.name), signal.SIGKILL)
            killed += 1
    except (FileNotFoundError, ProcessLookupError):
        pass
print(killed)
"""


@pytest.fixture(scope="module")
def killer() -> Iterator[Namespace]:
    """A pod that sees the processes of the node (of every node: one each)."""
    namespace = Namespace("tardigrade-e2e-killer", restricted=False)
    pod = {
        "hostPID": True,
        "tolerations": [{"operator": "Exists"}],
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "killer",
                "image": f"localhost/tardigrade-simulator:{IMAGE_TAG}",
                "imagePullPolicy": "IfNotPresent",
                "command": ["python", "-c", "import signal; signal.pause()"],
                "securityContext": {"privileged": True, "runAsUser": 0},
            }
        ],
    }
    labels = {"app": "killer"}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    manifest = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "killer"}, "spec": spec}
    namespace.kubectl("apply", "--filename=-", stdin=json.dumps(manifest))
    until("the killer runs", lambda: all(pod.ready for pod in namespace.pods()) and namespace.pods(), 60)
    yield namespace
    remove(namespace.name)


def kill_process(killer: Namespace, victim: Pod) -> None:
    """Kill all processes of a pod's container with SIGKILL."""
    killed = sum(int(killer.python(pod.name, KILL, victim.container_id)) for pod in killer.pods())
    assert killed, f"no process of {victim.name} found"


def delete_pods(service: Service, pods: list[Pod]) -> None:
    """Delete pods without any grace."""
    names = [pod.name for pod in pods]
    service.namespace.kubectl("delete", "pod", *names, "--grace-period=0", "--force", "--wait=false")


def unlike(service: Service, old: list[Pod], component: str = "") -> list[Pod] | None:
    """Return the pods once they are others than the old ones, or restarted, and ready."""
    pods = service.namespace.pods(component)
    gone = {pod.container_id for pod in old}
    fresh = [pod for pod in pods if pod.ready and pod.container_id not in gone]
    return pods if len(fresh) == len(old) == len(pods) else None


def running(service: Service, reports: list[Report]) -> int:
    """Return how many of the reports are under way."""
    listed = service.request("GET", "/v1/reports", params={"status": "in_progress", "limit": 100}).json()["reports"]
    return len({report["id"] for report in listed} & {report["id"] for report in reports})


@pytest.mark.timeout(900)
def test_thirty_reports_survive(service: Service, killer: Namespace) -> None:
    # The simulator resumes nothing as its model is called, and each call is cut off again and again here.
    service.install({**IMAGES, "llm": {"rebuyLimit": 10}}, wait=True)
    begun = time.monotonic()
    # Half of them are in the hands of the model for a minute, over and over. The others have their answer at once and
    # come to the PDF one by one, so that each stage has work at every kill.
    reports = []
    for number in range(REPORTS):
        slow = number % 2
        told = f"[[simulator: answer-tokens=500; tokens-per-second={8 if slow else 500}]]"
        reports.append(service.start(f"Kill test {number}: {told}", pause_seconds=0 if slow else 4 * number))

    # The simulator keeps its bill in memory, so it is read before each of its deaths.
    billed: Counter[str] = Counter()
    tell("  killed             by                 running   ready again after")

    def story(what: str, how: str, still: int, at: float) -> None:
        tell(f"  {what:<18} {how:<18} {still:>7} {time.monotonic() - at:>16.0f} s")

    for component in PODS:
        for how in ("delete --force", "SIGKILL"):
            still = running(service, reports)
            old = service.namespace.pods(component)
            if component == "simulator":
                billed.update(service.bill())
            at = time.monotonic()
            if how == "SIGKILL":
                kill_process(killer, old[0])
            else:
                delete_pods(service, old)
            until(f"{component} is back", partial(unlike, service, old, component), 120)
            story(component, how, still, at)
    still = running(service, reports)
    assert still, "the reports were done before the last kill: they have to run longer"
    billed.update(service.bill())
    at = time.monotonic()
    everything = service.namespace.pods()
    delete_pods(service, everything)
    until("everything is back", partial(unlike, service, everything), 180)
    story("all pods", "delete --force", still, at)

    ended = service.finish(reports, seconds=300)
    for report in ended:
        service.pdf(report)
    billed.update(service.bill())
    check_the_ledger(service, ended, billed)
    tell(f"  {REPORTS} of {REPORTS} reports completed, each PDF valid, {time.monotonic() - begun:.0f} s")


def check_the_ledger(service: Service, reports: list[Report], billed: Counter[str]) -> None:
    """Every purchase that the provider counted stands in the ledger, and no recorded answer was bought again."""
    ledger = service.ledger()
    purchases = 0
    for report in reports:
        register = ledger[report["id"]]
        finished = [attempt for attempt in register["attempts"] if attempt["state"] == "finished"]
        assert register["state"] == "done"
        assert len(finished) == 1, register
        bought = sum(attempt["purchase"] and attempt["billed"] for attempt in register["attempts"])
        requests = sum(count for prompt, count in billed.items() if report["prompt"].startswith(prompt))
        assert requests <= bought, f"{report['id']}: {requests} requests billed, {bought} in the ledger"
        purchases += bought
    outcomes = Counter(name for report in reports for name in report["spend"]["outcomes"])
    wasted = sum(report["spend"]["wasted_tokens"] for report in reports)
    tell(
        f"  {sum(billed.values())} requests billed by the simulator, {purchases} purchases in the ledger for"
        f" {len(reports)} reports, outcomes {dict(outcomes)}, {wasted} tokens wasted"
    )
