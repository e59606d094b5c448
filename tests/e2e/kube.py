"""kubectl and helm, as a test needs them: run, wait for a condition, look at pods."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "tardigrade"
T = TypeVar("T")


class CommandFailedError(Exception):
    """A command ended with another code than 0; the text holds what it printed."""


def run(*command: str, stdin: str | None = None, timeout: float = 120) -> str:
    """Run a command and return what it prints."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout, cwd=ROOT)
    if done.returncode:
        raise CommandFailedError(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def kubectl(*arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
    """Run kubectl."""
    return run("kubectl", *arguments, stdin=stdin, timeout=timeout)


def helm(*arguments: str, timeout: float = 240) -> str:
    """Run helm, from the PATH or from where `make` builds it."""
    found = shutil.which("helm", path=f"{os.environ['PATH']}{os.pathsep}{ROOT / 'build' / 'tools'}")
    return run(found or "helm", *arguments, timeout=timeout)


def until(what: str, check: Callable[[], T | None], seconds: float, every: float = 0.5) -> T:
    """Return the first result of `check` that is not None or False; fail when it takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        result = check()
        if result is not None and result is not False:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        time.sleep(every)


@dataclass(frozen=True)
class Pod:
    """What is asked of a pod."""

    name: str
    component: str
    ready: bool
    restarts: int
    terminating: bool
    container_id: str
    image: str
    seconds_to_ready: float | None

    @classmethod
    def of(cls, manifest: dict[str, Any]) -> Self:
        """Read a pod's manifest."""
        status = manifest["status"]
        container = (status.get("containerStatuses") or [{}])[0]
        ready = next((c for c in status.get("conditions", []) if c["type"] == "Ready"), {"status": "False"})
        started = container.get("state", {}).get("running", {}).get("startedAt")
        seconds = None
        if ready["status"] == "True" and started:
            seconds = (_time(ready["lastTransitionTime"]) - _time(started)).total_seconds()
        return cls(
            name=manifest["metadata"]["name"],
            component=manifest["metadata"]["labels"].get("app.kubernetes.io/component", ""),
            ready=ready["status"] == "True",
            restarts=container.get("restartCount", 0),
            terminating="deletionTimestamp" in manifest["metadata"],
            container_id=container.get("containerID", "").rpartition("/")[2],
            image=manifest["spec"]["containers"][0]["image"],
            seconds_to_ready=seconds,
        )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


class Namespace:
    """A namespace of the suite's own."""

    def __init__(self, name: str, *, restricted: bool = True) -> None:
        """Make it, after removing what an interrupted run may have left."""
        self.name = name
        remove(name)
        kubectl("wait", "--for=delete", f"namespace/{name}", "--timeout=180s", timeout=200)
        kubectl("create", "namespace", name)
        if restricted:
            kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        """Run kubectl in this namespace."""
        return kubectl("--namespace", self.name, *arguments, stdin=stdin, timeout=timeout)

    def pods(self, component: str = "") -> list[Pod]:
        """Return the pods that are not on their way out, those of one component or all."""
        selector = [f"--selector=app.kubernetes.io/component={component}"] if component else []
        items = json.loads(self.kubectl("get", "pods", "--output=json", *selector))["items"]
        return [pod for pod in map(Pod.of, items) if not pod.terminating]

    def wait_ready(self, count: int, component: str = "", *, seconds: float = 120) -> list[Pod]:
        """Wait until there are exactly so many pods, all of them ready."""

        def ready() -> list[Pod] | None:
            pods = self.pods(component)
            return pods if len(pods) == count and all(pod.ready for pod in pods) else None

        try:
            return until(f"{count} pods ready {component}", ready, seconds)
        except AssertionError as error:
            error.add_note(self.kubectl("get", "pods", "--output=wide"))
            raise

    def python(self, pod: str, code: str, *arguments: str) -> str:
        """Run Python in a pod; the images have no shell to speak of."""
        return self.kubectl("exec", pod, "--", "python", "-c", code, *arguments)

    def metrics(self, pod: str) -> str:
        """Return a pod's metrics page, asked for from inside so that no NetworkPolicy stands in the way."""
        address = "http://localhost:9090/metrics"
        code = f"import urllib.request as u; print(u.urlopen('{address}', timeout=10).read().decode())"
        return self.python(pod, code)


def remove(namespace: str) -> None:
    """Remove a namespace and all in it; it is gone some seconds later."""
    if kubectl("get", "namespace", namespace, "--ignore-not-found", "--output=name"):
        # First what makes pods, then the pods without their grace: else the namespace waits for the longest of them.
        kubectl("--namespace", namespace, "delete", "deployments,statefulsets,daemonsets", "--all", "--timeout=60s")
        kubectl("--namespace", namespace, "delete", "pods", "--all", "--force", "--grace-period=0", "--wait=false")
        kubectl("delete", "namespace", namespace, "--wait=false")


class PortForward:
    """`kubectl port-forward` to a Service, begun anew when the pod behind it goes."""

    def __init__(self, namespace: str, target: str, port: int) -> None:
        """Forward a free port of this machine."""
        self._command = ["kubectl", "--namespace", namespace, "port-forward", target]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._command += [f"{self.port}:{port}"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address on this machine."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self.ensure()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def ensure(self, seconds: float = 60) -> None:
        """Wait until the port is forwarded; begin anew where the process has ended."""

        def forwarded() -> bool:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) == 0

        until(" ".join(self._command), forwarded, seconds, every=0.3)

    def close(self) -> None:
        """End the forwarding."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
