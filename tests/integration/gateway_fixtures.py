"""Real servers for the gateway's tests, and workers whose activities do as the prompt says."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from services.cli.stack import LocalStack
from services.contracts import ids, queues
from services.contracts.activities import LLMHeartbeat, PDFHeartbeat
from services.contracts.llm import LLMCallInput, LLMCallOutput, Outcome, Usage
from services.contracts.pdf import PDFGenerationInput, PDFGenerationOutput
from services.contracts.reports import ObjectRef, Spend
from services.orchestrator.workflows import GenerateReportWorkflow
from services.runtime import temporal
from services.runtime.object_store import ObjectStore
from services.runtime.settings import ObjectStoreSettings

PDF = b"%PDF-1.7 " + bytes(range(256)) * 1000
MARKDOWN = b"# Water bears\n"
TITLE = "Wasserbären 🐻"
SPEND = Spend(calls=1, input_tokens=10, output_tokens=20, cost_usd=0.5, outcomes={"bought": 1})


@dataclass
class Activities:
    """Fake activities that count their runs; a prompt that names a fault gets it until `mended` is set."""

    store: ObjectStore
    mended: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[LLMCallInput] = field(default_factory=list)

    @activity.defn(name="llm_call")
    async def llm_call(self, call: LLMCallInput) -> LLMCallOutput:
        self.calls.append(call)
        prompt = call.messages[-1].content
        if "slow research" in prompt:
            while not self.go_on.is_set():
                activity.heartbeat(LLMHeartbeat("streaming", 42))
                await asyncio.sleep(0.2)
        if "wrong key" in prompt and not self.mended.is_set():
            raise ApplicationError(
                "The provider refused the key. Set LLM_API_KEY.",
                Spend(calls=1, input_tokens=7, cost_usd=0.25),
                type="llm-authentication",
                non_retryable=True,
            )
        if "rate limit" in prompt and not self.mended.is_set():
            raise ApplicationError("The provider asks to wait.", type="llm-rate-limit")
        return LLMCallOutput(
            answer=ObjectRef("ledger/report-00000000000000000000/research/0.json", "0" * 64, 1),
            usage=Usage(10, 20),
            spend=SPEND,
            outcome=Outcome.BOUGHT,
            model=call.model or "fake-model",
            finish_reason="stop",
            title=TITLE,
        )

    @activity.defn(name="create_pdf")
    async def create_pdf(self, request: PDFGenerationInput) -> PDFGenerationOutput:
        if "slow pdf" in request.prompt:
            while not self.go_on.is_set():
                activity.heartbeat(PDFHeartbeat(7))
                await asyncio.sleep(0.2)
        if "full disk" in request.prompt and not self.mended.is_set():
            raise ApplicationError("The disk is full.", type="storage")
        report_id = activity.info().workflow_id or ""
        return await asyncio.to_thread(self._keep, report_id, request)

    def _keep(self, report_id: str, request: PDFGenerationInput) -> PDFGenerationOutput:
        pdf = self.store.put(ids.pdf_key(report_id), PDF, "application/pdf")
        markdown = self.store.put(ids.markdown_key(report_id), MARKDOWN, "text/markdown")
        summary = {
            "version": 1,
            "id": report_id,
            "title": request.title,
            "prompt": request.prompt,
            "filename": request.filename,
            "model": request.model,
            "created_at": request.created_at,
            "language": request.language,
            "paper": request.paper,
            "pages": 3,
            "pdf": asdict(pdf),
            "markdown": asdict(markdown),
            "spend": asdict(request.spend),
            "warnings": ["one warning"],
        }
        self.store.put(ids.summary_key(report_id), json.dumps(summary).encode(), "application/json")
        return PDFGenerationOutput(pdf=pdf, markdown=markdown, pages=3, bytes=pdf.size, fallbacks=["one warning"])


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds, for at most 30 s."""
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110  what is waited for happens in another process
            await asyncio.sleep(0.05)


@dataclass
class Service:
    """The running servers, a client of each, and the bucket."""

    stack: LocalStack
    api: httpx.AsyncClient
    temporal: Client
    store: ObjectStore

    @asynccontextmanager
    async def working(self) -> AsyncIterator[Activities]:
        """Run the real workflow with fake activities."""
        fakes = Activities(self.store)
        client, options = self.temporal, {"max_cached_workflows": 50}
        workers = [
            Worker(client, task_queue=queues.WORKFLOWS, workflows=[GenerateReportWorkflow], **options),  # type: ignore[arg-type]
            Worker(client, task_queue=queues.LLM, activities=[fakes.llm_call]),
            Worker(client, task_queue=queues.PDF, activities=[fakes.create_pdf]),
        ]
        async with workers[0], workers[1], workers[2]:
            yield fakes

    async def start(self, prompt: str, **fields: object) -> str:
        """Start a report and return its id."""
        answer = await self.api.post("/v1/reports", json={"prompt": prompt, **fields})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def report(self, report_id: str) -> dict[str, Any]:
        """Return a report as the API shows it."""
        answer = await self.api.get(f"/v1/reports/{report_id}")
        assert answer.status_code == 200, answer.text
        report: dict[str, Any] = answer.json()
        return report

    async def until(self, report_id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the report once a condition holds."""
        report: dict[str, Any] = {}

        async def holds() -> bool:
            nonlocal report
            report = await self.report(report_id)
            return condition(report)

        await until(holds)
        return report

    async def until_answered(self, path: str, status: int) -> None:
        """Wait until a request is answered with a status."""

        async def answered() -> bool:
            return (await self.api.get(path)).status_code == status

        await until(answered)

    async def ended(self, report_id: str) -> dict[str, Any]:
        """Return the report once it has ended."""
        return await self.until(report_id, lambda report: report["closed_at"] is not None)


@asynccontextmanager
async def connected(stack: LocalStack) -> AsyncIterator[Service]:
    """Connect to a stack whose variables are in the environment."""
    store = ObjectStore(ObjectStoreSettings())
    await asyncio.to_thread(store.prepare)
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=30) as api:
        yield Service(stack, api, await temporal.connect(), store)


@dataclass
class Event:
    """One server-sent event."""

    name: str
    id: str
    data: Any


async def events(api: httpx.AsyncClient, report_id: str, last_event_id: str = "") -> AsyncIterator[Event]:
    """Yield the events of one connection."""
    headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
    async with api.stream("GET", f"/v1/reports/{report_id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        fields: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
            else:
                if "event" in fields:
                    yield Event(fields["event"], fields.get("id", ""), json.loads(fields["data"]))
                fields = {}
