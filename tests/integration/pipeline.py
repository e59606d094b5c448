"""A whole stack under test: what a client sees, what the provider billed, what the registers and Temporal hold."""

import asyncio
import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from pypdf import PdfReader
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client

from services.cli.guard import Guard
from services.cli.ports import LOOPBACK, free_port
from services.cli.process import LocalProcess
from services.cli.stack import LocalStack
from services.contracts import ids
from services.llm_worker.register import Register
from services.runtime.object_store import ObjectStore, ObjectStoreError
from services.runtime.settings import ObjectStoreSettings
from services.simulator import answers
from services.simulator.options import Options
from services.simulator.prompts import read_prompt

T = TypeVar("T")
Json = dict[str, Any]

HEARTBEAT_TIMEOUT_SECONDS = 10
"""The workflow's; a killed worker is missed after it."""

REPOSITORY = Path(__file__).resolve().parents[2]


def wait_for(what: str, condition: Callable[[], T | None], seconds: float = 60) -> T:
    """Return the first true value of a condition."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)
    return value


def prompt(topic: str, **options: object) -> str:
    """Return a prompt that sets the simulator's options for its own requests."""
    directive = "; ".join(f"{name.replace('_', '-')}={value}" for name, value in options.items())
    return f"{topic} [[simulator: {directive}]]" if directive else topic


def undisturbed(text: str, *, tokens: int | None = None, variant: int = 0) -> str:
    """Return what the simulator answers to a prompt when nothing disturbs it."""
    asked = read_prompt(text)
    length = int(asked.directives.get("answer-tokens", tokens or Options().answer_tokens))
    return answers.report(asked.subject, asked.topic, length, variant).text


class Pipeline:
    """A running stack and its clients."""

    def __init__(self, stack: LocalStack, api: httpx.Client, store: ObjectStore) -> None:
        self.stack = stack
        self.api = api
        self.store = store

    def start(self, text: str, **fields: object) -> str:
        """Start a report and return its id."""
        answer = self.api.post("/v1/reports", json={"prompt": text, **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def report(self, report_id: str) -> Json | None:
        """Return a report as the API shows it; `None` while it cannot (Temporal or the store is away)."""
        answer = self.api.get(f"/v1/reports/{report_id}")
        if answer.status_code == 503:
            return None
        assert answer.status_code == 200, answer.text
        report: Json = answer.json()
        return report

    def until(self, report_id: str, what: str, condition: Callable[[Json], object], seconds: float = 60) -> Json:
        """Return a report once it is as it should be."""
        last: Json = {}

        def look() -> Json | None:
            nonlocal last
            last = self.report(report_id) or last
            return last if last and condition(last) else None

        try:
            return wait_for(what, look, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; the report: {last}; the logs: {self.stack.state_dir}/logs") from None

    def in_stage(self, report_id: str, stage: str) -> Json:
        """Return a report once it is in a stage."""
        return self.until(report_id, f"stage {stage}", lambda report: report["stage"] == stage)

    def ended(self, report_id: str, seconds: float = 90) -> Json:
        """Return a report once it has ended, however it did."""
        return self.until(report_id, "the end", lambda report: report["closed_at"], seconds)

    def completed(self, report_id: str, seconds: float = 90) -> Json:
        """Return a report once it is complete, which it must become."""
        report = self.ended(report_id, seconds)
        assert report["status"] == "completed", f"{report}; the logs: {self.stack.state_dir}/logs"
        return report

    def markdown(self, report_id: str) -> str:
        """Return a report's Markdown."""
        return self.api.get(f"/v1/reports/{report_id}/markdown").raise_for_status().text

    def pdf_text(self, report_id: str) -> str:
        """Return the text of a report's PDF, its white space made single spaces."""
        content = self.api.get(f"/v1/reports/{report_id}/pdf").raise_for_status().content
        pages = PdfReader(io.BytesIO(content), strict=True).pages
        return " ".join(" ".join(page.extract_text() for page in pages).split())

    def set_simulator(self, **options: object) -> None:
        """Change the simulator's options for the requests that are still to come."""
        answer = httpx.post(f"{self.stack.simulator_url}/control", json=options, trust_env=False)
        answer.raise_for_status()

    def requests(self, text: str) -> list[Json]:
        """Return the requests with this prompt that the provider received, refused ones too, oldest first."""
        bill = httpx.get(f"{self.stack.simulator_url}/billing", trust_env=False).raise_for_status().json()
        digest = hashlib.sha256(text.strip().encode()).hexdigest()
        return [request for request in bill["requests_log"] if request["prompt_hash"] == digest]

    def charges(self, text: str) -> list[Json]:
        """Return those of the requests that were billed."""
        return [request for request in self.requests(text) if request["state"] != "refused"]

    def streaming(self, text: str) -> Json:
        """Return the request with this prompt once some of its answer was sent and the journal holds some of it."""
        return wait_for(
            f"{text} is streamed",
            lambda: next(
                (one for one in self.charges(text) if one["state"] == "running" and one["output_tokens"]), None
            ),
        )

    def register(self, report_id: str) -> Register | None:
        """Return the register of a report's only call; `None` while there is none."""
        try:
            keys = list(self.store.keys(ids.ledger_prefix(report_id)))
            assert len(keys) <= 1, keys
            return Register.decode(self.store.read(keys[0]).data) if keys else None
        except ObjectStoreError:
            return None

    def pending(self, report_id: str) -> PendingActivityInfo:
        """Return what Temporal knows of a report's activity; it has one when a worker has taken it."""

        async def ask() -> PendingActivityInfo | None:
            client = await Client.connect(self.stack.temporal_address)
            description = await client.get_workflow_handle(report_id).describe()
            pending = description.raw_description.pending_activities
            return pending[0] if pending and pending[0].last_worker_identity else None

        return wait_for("a worker has taken the activity", lambda: asyncio.run(ask()))

    def worker_pid(self, report_id: str) -> int:
        """Return the id of the process that runs, or ran last, a report's activity."""
        return int(self.pending(report_id).last_worker_identity.partition("@")[0])

    def waits(self, report_id: str) -> bool:
        """Tell whether the newest attempt has said that it waits for another one's answer."""
        details = self.pending(report_id).heartbeat_details.payloads
        return bool(details) and json.loads(details[0].data)["state"] == "waiting"


@contextmanager
def running(stack: LocalStack, *, without: Sequence[LocalProcess] = ()) -> Iterator[Pipeline]:
    """Start a stack, or most of it, connect to it, and stop it in the end."""
    stack.start([part for part in stack.processes if part not in without])
    try:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in stack.s3_env.items():
                environment.setenv(name, value)
            store = ObjectStore(ObjectStoreSettings())
        with httpx.Client(base_url=stack.gateway_url, timeout=30, trust_env=False) as api:
            yield Pipeline(stack, api, store)
    finally:
        stack.stop()


@contextmanager
def llm_worker(stack: LocalStack, name: str, **env: str) -> Iterator[LocalProcess]:
    """Start one more LLM worker with some variables of its own, and end it in the end."""
    port = free_port()
    worker = LocalProcess(
        f"llm-worker-{name}",
        stack.llm_worker.argv,
        {**stack.llm_worker.env, "POD_HTTP_PORT": str(port), **env},
        state_dir=stack.state_dir,
        url=f"http://{LOOPBACK}:{port}",
        ready_path="/readyz",
    )
    guard = Guard()
    worker.start(guard)
    try:
        yield worker
    finally:
        worker.kill()
        guard.close()
