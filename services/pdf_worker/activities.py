"""The `create_pdf` activity: the recorded answer in, `report.pdf`, `report.md` and `report.json` out."""

import asyncio
import dataclasses
import json
import time

import structlog
from prometheus_client import Counter, Histogram
from temporalio import activity
from temporalio.exceptions import ApplicationError

from services.contracts import ids
from services.contracts.activities import PDFHeartbeat
from services.contracts.errors import ErrorType
from services.contracts.pdf import PDFGenerationInput, PDFGenerationOutput
from services.contracts.reports import ObjectRef
from services.pdf_worker.isolation import RendererPool
from services.pdf_worker.limits import DocumentError
from services.pdf_worker.model import DocumentInfo, Rendered
from services.runtime.metrics import SECONDS_BUCKETS
from services.runtime.object_store import (
    CorruptObjectError,
    ObjectStore,
    ObjectStoreError,
    PreconditionFailedError,
)

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 3.0

_RENDER_SECONDS = Histogram("tardigrade_pdf_render_seconds", "Seconds to render one document.", buckets=SECONDS_BUCKETS)
_PAGES = Counter("tardigrade_pdf_pages_total", "Pages rendered.")
_FALLBACKS = Counter("tardigrade_pdf_fallbacks_total", "Blocks that could not be laid out and were set as plain text.")


class PDFActivities:
    """Hosts `create_pdf`."""

    def __init__(self, store: ObjectStore, renderers: RendererPool) -> None:
        self._store = store
        self._renderers = renderers

    @activity.defn(name="create_pdf")
    async def create_pdf(self, request: PDFGenerationInput) -> PDFGenerationOutput:
        """Make the PDF and store it with its Markdown and summary.

        The same input gives the same bytes under the same keys, so a retry after a lost acknowledgement changes
        nothing. A failing store is waited for by Temporal's retries; an error of the document itself is permanent.
        """
        report_id = activity.info().workflow_id or ""
        try:
            markdown = await asyncio.to_thread(self._markdown, request)
            rendered = await self._render(report_id, request, markdown)
            return await asyncio.to_thread(self._save, report_id, request, markdown, rendered)
        except DocumentError as error:
            raise ApplicationError(str(error), type=ErrorType.DOCUMENT, non_retryable=True) from None
        except CorruptObjectError as error:
            raise ApplicationError(str(error), type=ErrorType.CORRUPT_OBJECT, non_retryable=True) from None
        except ObjectStoreError as error:
            raise ApplicationError(
                f"The object store failed, so the report waits for it: {error}", type=ErrorType.STORAGE
            ) from None

    def _markdown(self, request: PDFGenerationInput) -> str:
        """Return the answer; one that could not be recorded when it was bought is recorded now."""
        if request.inline is None:
            data = self._store.get(request.content)
        else:
            data = self._record(request.content.key, request.inline.encode())
        text: str = json.loads(data)["text"]
        return text

    def _record(self, key: str, data: bytes) -> bytes:
        """Write the register over an open one, as the LLM worker would have; what is done already stays."""
        etag: str | None = None
        for _ in range(3):
            try:
                self._store.put_if(key, data, etag=etag)
                return data
            except PreconditionFailedError:
                found = self._store.read(key)
            if json.loads(found.data)["state"] == "done":
                return found.data
            etag = found.etag
        raise ObjectStoreError(f"{key} is written by others all the time")

    async def _render(self, report_id: str, request: PDFGenerationInput, markdown: str) -> Rendered:
        info = DocumentInfo(
            title=request.title,
            prompt=request.prompt,
            model=request.model,
            report_id=report_id,
            created_at=request.created_at,
            language=request.language,
            paper=request.paper,
        )
        pages = 0

        def on_page(done: int) -> None:
            nonlocal pages
            pages = done

        async def beat() -> None:
            while True:
                await asyncio.sleep(HEARTBEAT_SECONDS)
                activity.heartbeat(PDFHeartbeat(pages=pages))

        begun = time.monotonic()
        beating = asyncio.create_task(beat())
        try:
            rendered = await self._renderers.render(markdown + _notices(request.warnings), info, on_page=on_page)
        finally:
            beating.cancel()
        _RENDER_SECONDS.observe(time.monotonic() - begun)
        _PAGES.inc(rendered.pages)
        if rendered.fallbacks:
            _FALLBACKS.inc(len(rendered.fallbacks))
            log.warning("blocks were set as plain text", fallbacks=len(rendered.fallbacks))
        return rendered

    def _save(
        self, report_id: str, request: PDFGenerationInput, markdown: str, rendered: Rendered
    ) -> PDFGenerationOutput:
        """Store the three objects, `report.json` last: where it is, the report is complete."""
        source = self._store.put(ids.markdown_key(report_id), markdown.encode(), "text/markdown; charset=utf-8")
        pdf = self._store.put(ids.pdf_key(report_id), rendered.pdf, "application/pdf")
        summary = _summary(report_id, request, rendered, pdf, source)
        self._store.put(ids.summary_key(report_id), summary, "application/json")
        return PDFGenerationOutput(
            pdf=pdf, markdown=source, pages=rendered.pages, bytes=pdf.size, fallbacks=rendered.fallbacks
        )


def _notices(warnings: list[str]) -> str:
    """Return what a reader of the PDF must know, as Markdown after the text."""
    return "".join(f"\n\n> [!WARNING]\n> {warning}\n" for warning in warnings)


def _summary(
    report_id: str, request: PDFGenerationInput, rendered: Rendered, pdf: ObjectRef, markdown: ObjectRef
) -> bytes:
    """Return `report.json`, which keeps a finished report readable after Temporal's retention."""
    content = {
        "version": 1,
        "id": report_id,
        "title": request.title,
        "prompt": request.prompt,
        "filename": request.filename,
        "model": request.model,
        "created_at": request.created_at,
        "language": request.language,
        "paper": request.paper,
        "pages": rendered.pages,
        "pdf": dataclasses.asdict(pdf),
        "markdown": dataclasses.asdict(markdown),
        "spend": dataclasses.asdict(request.spend),
        "warnings": [*request.warnings, *rendered.fallbacks],
    }
    return json.dumps(content, ensure_ascii=False, indent=2).encode()
