"""A release of the chart, and what a user does with it."""

import hashlib
import io
import json
import secrets
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import pypdf

from tests.e2e.kube import CHART, CommandFailedError, Namespace, PortForward, helm, until

Report = dict[str, Any]

READ_OBJECT = """
import boto3, hashlib, os, sys
body = boto3.client("s3").get_object(Bucket=os.environ["S3_BUCKET"], Key=sys.argv[1])["Body"].read()
print(hashlib.sha256(body).hexdigest())
"""

READ_LEDGER = """
import boto3, json, os
s3, bucket = boto3.client("s3"), os.environ["S3_BUCKET"]
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="ledger/"):
    for entry in page.get("Contents", []):
        register = json.loads(s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read())
        report = entry["Key"].split("/")[1]
        print(json.dumps({"id": report, "state": register["state"], "attempts": register["attempts"]}))
"""


class Service:
    """Tardigrade in a namespace, reached through the gateway's Service."""

    def __init__(self, namespace: Namespace, name: str = "tardigrade") -> None:
        """Nothing is installed yet."""
        self.namespace, self.name = namespace, name
        self._forwards: dict[str, PortForward] = {}

    def install(self, values: dict[str, Any], *, wait: bool = False) -> None:
        """Install or upgrade the release."""
        options = ["--namespace", self.namespace.name, "--install", "--values", "-"]
        if wait:
            options += ["--wait", "--timeout", "180s"]
        self._helm_with(values, "upgrade", self.name, str(CHART), *options)

    def _helm_with(self, values: dict[str, Any], *arguments: str) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "values.json"
            file.write_text(json.dumps(values))
            helm(*(str(file) if argument == "-" else argument for argument in arguments))

    def _ask(self, component: str, port: int, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask a Service; as a client would, again when the connection breaks or the answer is 503."""

        def answer() -> httpx.Response | None:
            forward = self._forwards.setdefault(
                component, PortForward(self.namespace.name, f"svc/{self.name}-{component}", port)
            )
            try:
                forward.ensure()
                response = httpx.request(method, forward.url + path, timeout=15, **options)
            except httpx.TransportError:
                forward.close()  # it may hang on a pod that is gone
                return None
            return None if response.status_code == 503 else response

        return until(f"{method} {path} answered by {component}", answer, 120).raise_for_status()

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Ask the gateway."""
        return self._ask("gateway", 8080, method, path, **options)

    def start(self, prompt: str, **options: Any) -> Report:
        """Start a report."""
        key = {"Idempotency-Key": secrets.token_hex(8)}
        report: Report = self.request("POST", "/v1/reports", json={"prompt": prompt, **options}, headers=key).json()
        return report

    def start_many(self, count: int, topic: str, *, tokens: int, rate: int, **options: Any) -> list[Report]:
        """Start reports whose answers take `tokens / rate` seconds (rate 0: no time)."""
        told = f"[[simulator: answer-tokens={tokens}; tokens-per-second={rate}]]"
        return [self.start(f"{topic} {number} {told}", **options) for number in range(count)]

    def get(self, report: Report) -> Report:
        """Return a report as it stands."""
        found: Report = self.request("GET", f"/v1/reports/{report['id']}").json()
        return found

    def finish(self, reports: Iterable[Report], *, seconds: float) -> list[Report]:
        """Wait until all have ended, and check that each was completed."""
        deadline = time.monotonic() + seconds
        ended = []
        for report in reports:

            def done(report: Report = report) -> Report | None:
                now = self.get(report)
                return now if now["status"] not in ("queued", "in_progress") else None

            try:
                last = until("the report ends", done, max(1.0, deadline - time.monotonic()))
            except AssertionError as error:
                error.add_note(json.dumps(self.get(report)))
                error.add_note(self.namespace.kubectl("get", "pods"))
                raise
            assert last["status"] == "completed", last
            ended.append(last)
        return ended

    def pdf(self, report: Report) -> bytes:
        """Download a report's PDF and check that it is a whole one."""
        content = self.request("GET", f"/v1/reports/{report['id']}/pdf").content
        assert len(pypdf.PdfReader(io.BytesIO(content)).pages) == report["pages"]
        return content

    def stored(self, report: Report) -> str:
        """Return the SHA-256 of a report's PDF as the object store has it."""
        (pod,) = self.namespace.pods("pdf-worker")
        return self.namespace.python(pod.name, READ_OBJECT, f"reports/{report['id']}/report.pdf").strip()

    def makes_a_report(self) -> Report:
        """Make a report, and read its PDF back from the object store."""
        (report,) = self.finish([self.start("How do tardigrades survive?")], seconds=90)
        assert hashlib.sha256(self.pdf(report)).hexdigest() == self.stored(report)
        return report

    def ledger(self) -> dict[str, Any]:
        """Return each report's register: its state and its attempts."""
        pod = self.namespace.pods("pdf-worker")[0]
        lines = self.namespace.python(pod.name, READ_LEDGER).splitlines()
        return {entry["id"]: entry for entry in map(json.loads, lines)}

    def bill(self) -> dict[str, int]:
        """Return how many requests the simulator has billed for each prompt (its first 80 characters)."""
        answer = self._ask("simulator", 9090, "GET", "/billing", params={"log": 0}).json()
        return {entry["prompt"]: entry["requests"] for entry in answer["by_prompt"].values()}

    def logs(self, component: str) -> str:
        """Return the logs of a component's pods."""
        return self.namespace.kubectl("logs", "--selector", f"app.kubernetes.io/component={component}", "--tail=-1")

    def uninstall(self) -> None:
        """Remove the release and wait until its pods are gone."""
        self.close()
        helm("uninstall", self.name, "--namespace", self.namespace.name)
        until("the pods are gone", lambda: not self.all_pods(), 120)

    def all_pods(self) -> str:
        """Return the names of all pods, those on their way out too."""
        return self.namespace.kubectl("get", "pods", "--output=name")

    def close(self) -> None:
        """End the port-forwards."""
        for forward in self._forwards.values():
            forward.close()
        self._forwards.clear()


def refused(values: dict[str, Any]) -> str:
    """Return the sentence with which helm refuses to install these values."""
    arguments = [f"--set={name}={value}" for name, value in values.items()]
    try:
        helm("install", "refused", str(CHART), "--dry-run=server", *arguments)
    except CommandFailedError as error:
        return str(error)
    raise AssertionError(f"not refused: {values}")
