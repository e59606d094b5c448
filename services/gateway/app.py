"""The HTTP API: routes, what they document, and how the parts are put together."""

import asyncio
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from temporalio.client import Client

from services.contracts import ids
from services.gateway import downloads, examples, kept, problems
from services.gateway.changes import IDEMPOTENCY_KEY, Changes
from services.gateway.events import Stream, only
from services.gateway.middleware import Guard, Observed
from services.gateway.problems import ProblemDetails, conflict, invalid, not_found, responses
from services.gateway.reports import Reports, Run
from services.gateway.requests import CreateReport, RetryReport
from services.gateway.resource import Report, ReportList, Status
from services.runtime.object_store import ObjectStore

VERSION = "v1"
_MAX_KEY = 255


def _report_id(report_id: Annotated[str, Path(examples=[examples.REPORT_ID])]) -> str:
    """Let nothing but an id of ours reach Temporal or an object key."""
    if not ids.is_workflow_id(report_id):
        raise not_found(report_id)
    return report_id


def _idempotency_key(
    key: Annotated[
        str | None,
        Header(
            alias=IDEMPOTENCY_KEY,
            description="Any text of the client's that names this request, 1 to 255 printable ASCII characters. The "
            "same key with the same body returns the report that was started with it, however often it is sent.",
            examples=["3f9c1a52-4be1-4f0e-9f7e-6a0c5f0d9b11"],
        ),
    ] = None,
) -> str | None:
    if key is not None and not (1 <= len(key) <= _MAX_KEY and key.isascii() and key.isprintable()):
        raise invalid(IDEMPOTENCY_KEY, f"it must be 1 to {_MAX_KEY} printable ASCII characters")
    return key


ReportId = Annotated[str, Depends(_report_id)]
Key = Annotated[str | None, Depends(_idempotency_key)]


class Api(FastAPI):
    """The app, whose OpenAPI document has the errors' schema that its routes refer to."""

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        spec = super().openapi()
        schemas = spec["components"]["schemas"]
        schema = ProblemDetails.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(schema.pop("$defs", {}))
        schemas["ProblemDetails"] = schema
        for replaced in ("HTTPValidationError", "ValidationError"):
            schemas.pop(replaced, None)
        return spec


def create_app(
    client: Client, store: ObjectStore, *, temporal_ui_url: str = "", loopback: bool = False, stop: asyncio.Event
) -> FastAPI:
    """Return the API.

    Args:
        client: Temporal; may be lazy.
        store: The bucket; need not answer yet.
        temporal_ui_url: Base address of Temporal's web UI; empty: no links to it.
        loopback: The API listens for this machine alone.
        stop: Set when the gateway is asked to stop, so that open event streams end.
    """
    app = Api(
        title="Tardigrade",
        version=VERSION,
        summary="A research service that survives: a prompt goes in, a PDF report comes out.",
        description=examples.DESCRIPTION,
        docs_url=None,  # FastAPI's pages load their scripts from a CDN
        redoc_url=None,
        responses=responses(503),
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    reports = Reports(client, store, temporal_ui_url)
    _add_index(app)
    _add_reports(app, reports)
    _add_changes(app, Changes(reports))
    _add_events(app, reports, stop)
    _add_downloads(app, reports)
    problems.install(app)
    app.add_middleware(Guard, loopback=loopback)
    app.add_middleware(Observed)
    return app


def _add_index(app: FastAPI) -> None:
    @app.get("/", summary="Where to go from here", tags=["service"], responses=examples.of(200, examples.INDEX))
    async def index() -> dict[str, Any]:
        return examples.INDEX

    @app.get("/healthz", summary="Is the API up", tags=["service"], responses=examples.of(200, {"status": "ok"}))
    async def healthz() -> dict[str, str]:
        """Says that this process answers; probes and metrics are on the pod port."""
        return {"status": "ok"}


def _add_reports(app: FastAPI, reports: Reports) -> None:
    @app.get("/v1/reports", summary="List reports", tags=["reports"], responses=responses(422))
    async def list_reports(
        limit: Annotated[int, Query(ge=1, le=100)] = 20,
        cursor: Annotated[str | None, Query(max_length=4096, description="`next_cursor` of the page before.")] = None,
        status: Status | None = None,
    ) -> ReportList:
        """Return the reports that Temporal retains: those under way, newest first, then the ended, last ended first.

        One that was just started or has just ended may take a second.
        """
        return await reports.list(limit=limit, cursor=cursor, status=status)

    @app.get("/v1/reports/{report_id}", summary="Get a report", tags=["reports"], responses=responses(404))
    async def get_report(report_id: ReportId) -> Report:
        """Return a report; a finished one also when Temporal has forgotten it."""
        return await reports.get(report_id)


def _add_changes(app: FastAPI, changes: Changes) -> None:
    @app.post(
        "/v1/reports",
        status_code=202,
        summary="Start a report",
        tags=["reports"],
        response_description="Started.",
        responses={
            200: {"model": Report, "description": "It was started before with the same key and body."},
            202: {"headers": {"Location": {"description": "The report.", "schema": {"type": "string"}}}},
            **responses(400, 403, 413, 415, 422),
        },
    )
    async def create_report(
        body: Annotated[CreateReport, Body(openapi_examples=examples.CREATE)], key: Key, response: Response
    ) -> Report:
        """Start a report and return at once. Send an `Idempotency-Key` so that the request may be sent again."""
        report, started = await changes.create(body.to_input(), key)
        response.headers["Location"] = report.links.own
        response.status_code = 202 if started else 200
        return report

    @app.post(
        "/v1/reports/{report_id}/cancel",
        status_code=202,
        summary="Cancel a report",
        tags=["reports"],
        responses=responses(403, 404),
    )
    async def cancel_report(report_id: ReportId) -> Report:
        """Ask a report to stop. It ends within seconds and keeps its research; one that has ended stays as it is."""
        return await changes.cancel(report_id)

    @app.post(
        "/v1/reports/{report_id}/retry",
        status_code=202,
        summary="Retry a report",
        tags=["reports"],
        responses=responses(400, 403, 404, 409, 413, 415, 422),
    )
    async def retry_report(
        report_id: ReportId,
        body: Annotated[RetryReport | None, Body(openapi_examples=examples.RETRY)] = None,
    ) -> Report:
        """Run a failed or cancelled report again. What was recorded in the ledger is not paid again."""
        return await changes.retry(report_id, body.model if body else None)

    @app.delete(
        "/v1/reports/{report_id}",
        status_code=204,
        summary="Delete a report",
        tags=["reports"],
        responses=responses(403, 404, 409),
    )
    async def delete_report(report_id: ReportId) -> None:
        """Delete a report that has ended, with its files, its ledger and its history.

        Temporal deletes in the background, within about half a minute: a report that failed or was cancelled is still
        shown until then, and lists may still have it.
        """
        await changes.delete(report_id)


def _add_events(app: FastAPI, reports: Reports, stop: asyncio.Event) -> None:
    @app.get(
        "/v1/reports/{report_id}/events",
        response_class=StreamingResponse,
        summary="Follow a report",
        tags=["reports"],
        responses={
            200: {"content": {"text/event-stream": {"example": examples.EVENTS}}},
            204: {"description": "`Last-Event-ID` was the last one: there is nothing to come."},
            **responses(404),
        },
    )
    async def report_events(
        report_id: ReportId,
        last_event_id: Annotated[str, Header(description="Go on after this event, on any replica.")] = "",
    ) -> Response:
        """Stream server-sent events until the report has ended.

        `stage` and the last one (`completed`, `failed` or `cancelled`) carry the report and an id; `retry` carries the
        report, `tick` the progress of the running step, both without an id. A stream that ends without a last event is
        to be taken up again with `Last-Event-ID`: the gateway was stopped, or Temporal stayed away for a minute.
        """
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        last = int(last_event_id) if last_event_id.isdecimal() and len(last_event_id) < 10 else 0
        found = await reports.find(report_id)
        if found is None:
            raise not_found(report_id)
        ended = found.story.closed and last == found.story.entered if isinstance(found, Run) else last > 0
        if ended:
            return Response(status_code=204)  # tells a browser not to reconnect
        frames = (
            Stream(reports, report_id, found, last, stop).frames()
            if isinstance(found, Run)
            else iter([only(found.report())])
        )
        return EventSourceResponse(frames, headers=headers)


def _add_downloads(app: FastAPI, reports: Reports) -> None:
    def documented(media_type: str) -> dict[str, Any]:
        content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
        return {
            "response_class": Response,
            "tags": ["files"],
            "responses": {
                200: {"content": content, "description": "The file, with its SHA-256 as the ETag."},
                206: {"content": content, "description": "The part that `Range` asked for."},
                304: {"description": "The client has it (`If-None-Match`)."},
                **responses(404, 409, 416),
            },
        }

    async def finished(report_id: str) -> kept.KeptReport:
        found = await kept.read(reports.store, report_id)
        if found is not None:
            return found
        report = await reports.get(report_id)
        raise conflict(f"The report is {report.status}; its files are there once it is completed.")

    @app.get("/v1/reports/{report_id}/pdf", summary="Download the PDF", **documented("application/pdf"))
    async def report_pdf(report_id: ReportId, request: Request) -> Response:
        """Stream the PDF, offered under a name made from its title."""
        report = await finished(report_id)
        disposition = downloads.content_disposition(report.filename, ".pdf")
        return await downloads.download(
            reports.store, report.pdf, request.headers, media_type="application/pdf", disposition=disposition
        )

    @app.get("/v1/reports/{report_id}/markdown", summary="Download the Markdown", **documented("text/markdown"))
    async def report_markdown(report_id: ReportId, request: Request) -> Response:
        """Stream the research as the model wrote it."""
        report = await finished(report_id)
        disposition = downloads.content_disposition(report.filename, ".md")
        return await downloads.download(
            reports.store,
            report.markdown,
            request.headers,
            media_type="text/markdown; charset=utf-8",
            disposition=disposition,
        )
