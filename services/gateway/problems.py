"""Errors as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException

from services.runtime.object_store import CorruptObjectError, ObjectStoreError

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
"""Workers and servers that restart are back in seconds; a client that waits longer gains nothing."""


class FieldError(BaseModel):
    """What is wrong with one field of a request."""

    field: str
    message: str


class ProblemDetails(BaseModel):
    """The body of every error."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "type": "urn:tardigrade:problem:invalid-input",
                "title": "The request is not valid",
                "status": 422,
                "detail": "prompt: it is empty; write a topic or a question",
                "errors": [{"field": "prompt", "message": "it is empty; write a topic or a question"}],
            }
        }
    )

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None


class ProblemError(Exception):
    """An error that the client is told about."""

    def __init__(
        self, status: int, kind: str, title: str, detail: str, *, errors: list[FieldError] | None = None
    ) -> None:
        """Take the parts of a problem.

        Args:
            status: HTTP status.
            kind: Last part of the problem's type, stable.
            title: The kind in words.
            detail: What happened this time, why, and what to do.
            errors: What is wrong with which field.
        """
        super().__init__(detail)
        self.details = ProblemDetails(
            type=f"urn:tardigrade:problem:{kind}", title=title, status=status, detail=detail, errors=errors
        )
        self.headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {}


def not_found(report_id: str) -> ProblemError:
    """Return the problem of a report that neither Temporal nor the object store knows."""
    # An id that is not ours may be anything; only what has the form of an id is repeated.
    return ProblemError(404, "not-found", "There is no such report", f"There is no report {report_id[:40]!r}.")


def conflict(detail: str) -> ProblemError:
    """Return the problem of a request that does not fit the report's state."""
    return ProblemError(409, "conflict", "The report is not in a state for this", detail)


def invalid(field: str, message: str) -> ProblemError:
    """Return the problem of one bad field."""
    return _invalid([FieldError(field=field, message=message)])


def unavailable(what: str, reason: str) -> ProblemError:
    """Return the problem of a server behind the gateway that does not answer."""
    detail = f"{what} does not answer ({reason}). Nothing is lost; try again in a moment."
    return ProblemError(503, "unavailable", f"{what} is away", detail)


def _invalid(errors: list[FieldError]) -> ProblemError:
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
    return ProblemError(422, "invalid-input", "The request is not valid", detail, errors=errors)


def response(problem: ProblemError) -> JSONResponse:
    """Return the HTTP response of a problem."""
    details = problem.details
    return JSONResponse(details.model_dump(exclude_none=True), details.status, problem.headers, media_type=MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI documentation of the errors with these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": content,
            **(
                {"headers": {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}}
                if status == 503
                else {}
            ),
        }
        for status in statuses
    }


def install(app: FastAPI) -> None:
    """Make every error of the app a problem."""

    @app.exception_handler(ProblemError)
    async def _problem(_request: Request, error: ProblemError) -> JSONResponse:
        return response(error)

    @app.exception_handler(RequestValidationError)
    async def _validation(_request: Request, error: RequestValidationError) -> JSONResponse:
        return response(_of_validation(error.errors()))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        made = response(
            ProblemError(error.status_code, phrase.lower().replace(" ", "-"), phrase, str(error.detail) + ".")
        )
        made.headers.update(error.headers or {})
        return made

    @app.exception_handler(ObjectStoreError)
    async def _store(_request: Request, error: ObjectStoreError) -> JSONResponse:
        log.warning("the object store failed", reason=str(error))
        return response(unavailable("The object store", "see the gateway's log"))

    @app.exception_handler(CorruptObjectError)
    async def _corrupt(_request: Request, error: CorruptObjectError) -> JSONResponse:
        log.error("an object was changed from outside", reason=str(error))
        return response(ProblemError(500, "corrupt-object", "A stored file is broken", f"{error}."))

    @app.exception_handler(Exception)
    async def _bug(_request: Request, _error: Exception) -> JSONResponse:
        # The exception itself is logged by the server; its text may hold anything, so the client does not get it.
        detail = "This is a fault in the gateway; its log has the details."
        return response(ProblemError(500, "internal", "Internal error", detail))


def _of_validation(errors: list[Mapping[str, Any]] | Any) -> ProblemError:
    """Turn pydantic's errors into ours, without the input: it may be 500 KB of a private prompt."""
    found = []
    for error in errors:
        where = [str(part) for part in error["loc"][1:]]  # the first one says body, query or header
        if error["type"] == "json_invalid":
            return ProblemError(400, "bad-request", "Bad Request", f"The body is not JSON: {error['ctx']['error']}.")
        message = str(error["msg"]).removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            message = "there is no such field"
        # A stranger's field may have any name, even one that cannot be encoded.
        name = ".".join(where)[:80].encode(errors="backslashreplace").decode()
        found.append(FieldError(field=name or "body", message=message))
    return _invalid(found)
