"""`tardigrade doctor`: is everything there that a report needs? A line each, with the remedy."""

import asyncio
import importlib.metadata
import logging
import os
import platform
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import structlog
from dotenv import dotenv_values
from rich.text import Text

from services.cli import show
from services.cli.local import ENV_FILE
from services.cli.provider import from_environment
from services.contracts import queues

if TYPE_CHECKING:
    from temporalio.client import Client

_SECONDS = 5.0
"""For each check; what needs longer is not well either."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: What was looked at.
        ok: Whether it is as it should be.
        text: What was found.
        remedy: What to do where it is not.
    """

    name: str
    ok: bool
    text: str
    remedy: str = ""


def run(url: str | None, state_dir: Path) -> list[Finding]:
    """Make every check.

    What is looked at comes from the environment; what is missing there, from the local stack that runs on `state_dir`.

    Args:
        url: The gateway; `None`: that of the local stack, or the usual one.
        state_dir: Of a local stack, if there is one.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))  # the findings say it
    local = {name: value for name, value in dotenv_values(state_dir / ENV_FILE).items() if value}
    for name, value in local.items():
        if name not in ("LLM_API_KEY", "TARDIGRADE_URL"):
            os.environ.setdefault(name, value)
    gateway = url or local.get("TARDIGRADE_URL") or "http://127.0.0.1:8080"
    findings = [_versions(), _gateway(gateway)]
    findings += asyncio.run(_temporal())
    return [*findings, _object_store(), _key(local)]


def print_findings(findings: list[Finding]) -> None:
    """Write a line for each finding, to stdout, and its remedy below."""
    from rich.console import Console

    console = Console(highlight=False)
    for finding in findings:
        mark = ("ok    ", "green") if finding.ok else ("FAILED", "bold red")
        console.print(Text.assemble(mark, f"  {finding.name + ':':34}", show.plain(finding.text)), soft_wrap=True)
        if not finding.ok and finding.remedy:
            console.print(Text(f"        do: {finding.remedy}"), soft_wrap=True)


def _versions() -> Finding:
    versions = [f"Python {platform.python_version()}"]
    for name in ("tardigrade", "temporalio", "litellm", "reportlab", "boto3"):
        try:
            versions.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue
    new_enough = sys.version_info >= (3, 11)
    return Finding("Versions", new_enough, ", ".join(versions), "Use Python 3.11 or newer.")


def _gateway(url: str) -> Finding:
    try:
        answer = httpx.get(f"{url.rstrip('/')}/healthz", timeout=_SECONDS, trust_env=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        remedy = "Start it with `tardigrade local`, or set TARDIGRADE_URL to one that runs."
        return Finding("Gateway", False, f"{url}: {error}", remedy)
    return Finding("Gateway", answer.is_success, f"{url} answers {answer.status_code}", "Read its log.")


async def _temporal() -> list[Finding]:
    from temporalio.client import Client
    from temporalio.envconfig import ClientConfig
    from temporalio.service import RPCError

    try:
        config = ClientConfig.load_client_connect_config()
    except (ValueError, OSError, RuntimeError) as error:
        return [Finding("Temporal", False, _first_line(error), "Correct the TEMPORAL_… variables.")]
    config.setdefault("target_host", "localhost:7233")
    address = config["target_host"]
    try:
        client = await asyncio.wait_for(Client.connect(**config), _SECONDS)
    except (RPCError, RuntimeError, TimeoutError) as error:
        remedy = "Start it with `tardigrade local`, or set TEMPORAL_ADDRESS (and TEMPORAL_API_KEY, TEMPORAL_TLS…)."
        return [Finding("Temporal", False, f"{address}: {_first_line(error) or 'no answer'}", remedy)]
    findings = [Finding("Temporal", True, f"{address} answers")]
    checks: list[Callable[[Client], Awaitable[Finding]]] = [_namespace]
    checks += [_pollers_of(queue) for queue in (queues.WORKFLOWS, queues.LLM, queues.PDF)]
    return findings + [await check(client) for check in checks]


async def _namespace(client: "Client") -> Finding:
    from datetime import timedelta

    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.service import RPCError

    name = f"Namespace {client.namespace}"
    try:
        answer = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace), timeout=timedelta(seconds=_SECONDS)
        )
    except RPCError as error:
        remedy = f"Make it: temporal operator namespace create -n {client.namespace}; or set TEMPORAL_NAMESPACE."
        return Finding(name, False, _first_line(error), remedy)
    days = answer.config.workflow_execution_retention_ttl.ToTimedelta() / timedelta(days=1)
    return Finding(name, True, f"keeps finished workflows for {days:g} d")


def _pollers_of(queue: str) -> "Callable[[Client], Awaitable[Finding]]":
    async def check(client: "Client") -> Finding:
        from datetime import UTC, datetime, timedelta

        from temporalio.api.enums.v1 import TaskQueueType
        from temporalio.api.taskqueue.v1 import TaskQueue
        from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
        from temporalio.service import RPCError

        name = f"Workers on {queue}"
        kind = (
            TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
            if queue == queues.WORKFLOWS
            else TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
        )
        request = DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        try:
            answer = await client.workflow_service.describe_task_queue(request, timeout=timedelta(seconds=_SECONDS))
        except RPCError as error:
            return Finding(name, False, _first_line(error), "Mend Temporal first.")
        # The server lists a poller for five minutes after its last poll; a living one polls again within 60 to 70 s.
        now = datetime.now(UTC)
        living = [
            poller
            for poller in answer.pollers
            if now - poller.last_access_time.ToDatetime(tzinfo=UTC) < timedelta(seconds=90)
        ]
        service = {queues.WORKFLOWS: "orchestrator", queues.LLM: "llm_worker", queues.PDF: "pdf_worker"}[queue]
        remedy = f"Start one: python -m services.{service}, or scale its Deployment up."
        workers = len({poller.identity for poller in living})
        return Finding(name, workers > 0, f"{workers} polled within the last 90 s", remedy)

    return check


def _object_store() -> Finding:
    name = "Object store"
    try:
        from services.runtime.object_store import ObjectStore, ObjectStoreError, UnsupportedStoreError
        from services.runtime.settings import ObjectStoreSettings
    except ImportError as error:
        remedy = "Install the extra that looks at it: pip install 'tardigrade[gateway]'."
        return Finding(name, False, f"not looked at: {error}", remedy)
    if not os.environ.get("AWS_ENDPOINT_URL_S3") and not os.environ.get("AWS_ACCESS_KEY_ID"):
        remedy = "Set AWS_ENDPOINT_URL_S3, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or start `tardigrade local`."
        return Finding(name, False, "no endpoint and no credentials are set", remedy)
    store = ObjectStore(ObjectStoreSettings())
    where = f"bucket {store.bucket!r} at {store.endpoint or 'AWS'}"
    try:
        store.prepare()
    except UnsupportedStoreError as error:
        return Finding(name, False, str(error), "Use one that honours conditional writes, or the ledger pays twice.")
    except ObjectStoreError as error:
        remedy = "Check AWS_ENDPOINT_URL_S3, the credentials and that the bucket may be written."
        return Finding(name, False, str(error), remedy)
    return Finding(name, True, f"{where} is writable and honours conditional writes")


def _key(local: dict[str, str]) -> Finding:
    """Say whether there is a key; never what it is."""
    name = "LLM key"
    if not from_environment().simulated:
        return Finding(name, True, "LLM_API_KEY is set")
    if local.get("LLM_API_KEY") == "simulated":
        return Finding(name, True, "none; the local stack uses the simulator")
    if local.get("LLM_API_KEY"):
        return Finding(name, True, "the local stack was started with one")
    remedy = "Set LLM_API_KEY in the LLM worker's environment or in .env; `tardigrade local` uses the simulator else."
    return Finding(name, False, "LLM_API_KEY is not set here", remedy)


def _first_line(error: BaseException) -> str:
    """Return what an error says; the SDK's carry a dump of its internals, with the message somewhere inside."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    inner = re.search(r'message: "([^"]+)"', text)
    return f"{text.partition(':')[0]}: {inner[1]}" if inner else text[:300]
