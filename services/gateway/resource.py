"""The report as the API shows it."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from services.contracts.reports import Spend, Stage


class Status(StrEnum):
    """What became of a report: the words that other services with background jobs use too."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Failure(BaseModel):
    """Why a step failed, in the words that Temporal and the metrics use."""

    type: str
    message: str


class Links(BaseModel):
    """Where to go from a report."""

    own: str = Field(serialization_alias="self")
    events: str
    cancel: str
    pdf: str | None = None
    markdown: str | None = None
    temporal: str | None = None


class Report(BaseModel):
    """A report."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "id": "report-0a1b2c3d4e5f60718293",
                "status": "completed",
                "stage": "done",
                "title": "How Tardigrades Survive",
                "prompt": "How do tardigrades survive in space?",
                "created_at": "2026-11-23T20:15:04Z",
                "closed_at": "2026-11-23T20:15:51Z",
                "attempt": 1,
                "tokens_so_far": None,
                "pages_so_far": None,
                "last_failure": None,
                "error": None,
                "model": "gpt-4o-2024-11-20",
                "spend": {
                    "calls": 1,
                    "input_tokens": 148,
                    "output_tokens": 1530,
                    "wasted_tokens": 0,
                    "saved_tokens": 0,
                    "cost_usd": 0.0157,
                    "outcomes": {"bought": 1},
                },
                "pages": 4,
                "size": 48211,
                "warnings": [],
                "links": {
                    "self": "/v1/reports/report-0a1b2c3d4e5f60718293",
                    "events": "/v1/reports/report-0a1b2c3d4e5f60718293/events",
                    "cancel": "/v1/reports/report-0a1b2c3d4e5f60718293/cancel",
                    "pdf": "/v1/reports/report-0a1b2c3d4e5f60718293/pdf",
                    "markdown": "/v1/reports/report-0a1b2c3d4e5f60718293/markdown",
                    "temporal": None,
                },
            }
        }
    )

    id: str
    status: Status
    stage: Stage
    title: str = Field(description="The research's title once it is there; before that, the start of the prompt.")
    prompt: str | None = Field(default=None, description="Absent in a list.")
    created_at: datetime
    closed_at: datetime | None = None
    attempt: int = Field(default=1, description="Of the step that runs or waits for its next attempt.")
    tokens_so_far: int | None = Field(default=None, description="Parts of the answer received by the running attempt.")
    pages_so_far: int | None = Field(default=None, description="Pages laid out by the running attempt.")
    last_failure: Failure | None = Field(default=None, description="Of the step that keeps failing.")
    error: Failure | None = Field(default=None, description="Why the report failed.")
    model: str | None = Field(
        default=None, description="The one asked for; once the research is there, the one that wrote."
    )
    spend: Spend | None = Field(default=None, description="What the model's calls came to; absent in a list.")
    pages: int | None = None
    size: int | None = Field(default=None, description="Bytes of the PDF.")
    warnings: list[str] = []
    links: Links


class ReportList(BaseModel):
    """A page of reports: those under way first, newest first, then the ended ones, last ended first."""

    reports: list[Report]
    next_cursor: str | None = Field(
        default=None, description="For the next page; a page with one may have fewer reports than `limit`, even none."
    )


class Tick(BaseModel):
    """How far the running step is."""

    tokens_so_far: int | None
    pages_so_far: int | None


def links(report_id: str, *, completed: bool, temporal: str | None) -> Links:
    """Return a report's links, relative to the API's host."""
    own = f"/v1/reports/{report_id}"
    return Links(
        own=own,
        events=f"{own}/events",
        cancel=f"{own}/cancel",
        pdf=f"{own}/pdf" if completed else None,
        markdown=f"{own}/markdown" if completed else None,
        temporal=temporal,
    )
