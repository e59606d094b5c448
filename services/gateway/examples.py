"""The texts and examples of the API's documentation."""

from typing import Any

from fastapi.openapi.models import Example

REPORT_ID = "report-0a1b2c3d4e5f60718293"

DESCRIPTION = """\
Start a report with `POST /v1/reports`, follow it with `GET /v1/reports/{id}/events` or by asking again, and download
it from `GET /v1/reports/{id}/pdf`. Every step is durable: a report that was accepted (202) goes on whatever is killed.

Every error is `application/problem+json` (RFC 9457). A 503 has `Retry-After`: a server behind the API is away, and
nothing is lost. An `Idempotency-Key` holds for as long as the report exists: as long as Temporal retains it, and for a
completed one as long as its files are in the bucket."""

INDEX: dict[str, Any] = {
    "name": "Tardigrade",
    "links": {"reports": "/v1/reports", "openapi": "/openapi.json", "health": "/healthz"},
}

CREATE: dict[str, Example] = {
    "prompt": Example(summary="A question", value={"prompt": "How do tardigrades survive in space?"}),
    "all": Example(
        summary="Every field",
        value={
            "prompt": "How do tardigrades survive in space?",
            "model": "openai/gpt-4o",
            "pause_seconds": 0,
            "language": "en",
            "paper": "a4",
            "max_cost_usd": 0.5,
            "max_tokens": 20000,
        },
    ),
}

RETRY: dict[str, Example] = {
    "same": Example(summary="As it was", value={}),
    "model": Example(summary="With another model", value={"model": "openai/gpt-4o-mini"}),
}

EVENTS = """\
: events of report-0a1b2c3d4e5f60718293
retry: 2000

event: stage
data: {"id":"report-0a1b2c3d4e5f60718293","status":"in_progress","stage":"research","...":"..."}
id: 5

event: tick
data: {"tokens_so_far":412,"pages_so_far":null}

event: completed
data: {"id":"report-0a1b2c3d4e5f60718293","status":"completed","stage":"done","...":"..."}
id: 17
"""


def of(status: int, example: Any) -> dict[int | str, dict[str, Any]]:
    """Return the documentation of a JSON answer by an example."""
    return {status: {"content": {"application/json": {"example": example}}}}
