"""The gateway's HTTP API, as the command uses it."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from services.cli.exits import CommandError, Exit

Report = dict[str, Any]
"""A report as the API gives it; `services/gateway/openapi.json` says what is in it."""

CLOSED = frozenset({"completed", "failed", "cancelled"})

# Longer than the gateway's heartbeat of 15 s, so that only a dead connection is given up.
_EVENTS_SILENCE_SECONDS = 40.0
_RECONNECT_SECONDS = 120.0
_REMEDY_UNREACHABLE = "Start it with `tardigrade local`, or set TARDIGRADE_URL (or --url) to a gateway that runs."


@dataclass(frozen=True)
class Event:
    """One event of a report's stream.

    Attributes:
        name: `stage`, `retry`, `tick`, or the status that ended the report.
        data: The report, or for a `tick` how far it is.
    """

    name: str
    data: dict[str, Any]


class Gateway:
    """A gateway. Every method raises `CommandError` when it cannot be reached or refuses."""

    def __init__(self, url: str) -> None:
        """Make the client; nothing is sent."""
        self.url = url.rstrip("/")
        timeout = httpx.Timeout(30, connect=5)
        try:
            self._http = httpx.Client(base_url=self.url, timeout=timeout, headers={"User-Agent": "tardigrade-cli"})
        except (httpx.InvalidURL, ValueError) as error:
            raise CommandError(
                "The gateway's address is wrong", str(error), "Give one such as http://127.0.0.1:8080.", Exit.USAGE
            ) from error

    def create(self, body: dict[str, Any], key: str) -> Report:
        """Ask for a report. The same key and body again return the same report."""
        return self._json("POST", "/v1/reports", json=body, headers={"Idempotency-Key": key})

    def get(self, report_id: str) -> Report:
        """Return a report."""
        return self._json("GET", f"/v1/reports/{report_id}")

    def list(self, *, limit: int, status: str | None, cursor: str | None) -> dict[str, Any]:
        """Return a page of reports: those under way first, then the ended ones, last ended first."""
        wanted = {"limit": limit, "status": status, "cursor": cursor}
        return self._json("GET", "/v1/reports", params={name: value for name, value in wanted.items() if value})

    def cancel(self, report_id: str) -> Report:
        """Ask for a report's cancellation."""
        return self._json("POST", f"/v1/reports/{report_id}/cancel")

    def retry(self, report_id: str, model: str | None) -> Report:
        """Start a failed or cancelled report again; what was paid for is not bought again."""
        return self._json("POST", f"/v1/reports/{report_id}/retry", json={"model": model} if model else None)

    def delete(self, report_id: str) -> None:
        """Delete a finished report and everything of it."""
        with self._told(), self._http.stream("DELETE", f"/v1/reports/{report_id}") as answer:
            _check(answer)

    @contextmanager
    def download(self, report_id: str, kind: str) -> Iterator[httpx.Response]:
        """Open a finished report's `pdf` or `markdown` for reading."""
        with self._told(), self._http.stream("GET", f"/v1/reports/{report_id}/{kind}") as answer:
            _check(answer)
            yield answer

    def events(self, report_id: str) -> Iterator[Event]:
        """Yield a report's events until it has ended, over as many connections as it takes."""
        last_id, lost_since = "", None
        while True:
            try:
                for event_id, event in self._stream(report_id, last_id):
                    last_id, lost_since = event_id or last_id, None
                    yield event
                    if event.name in CLOSED:
                        return
            except (httpx.TransportError, _UnavailableError) as error:
                lost_since = lost_since or time.monotonic()
                if time.monotonic() - lost_since > _RECONNECT_SECONDS:
                    raise self._unreachable(error) from error
                time.sleep(1)

    def _stream(self, report_id: str, last_id: str) -> Iterator[tuple[str, Event]]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        timeout = httpx.Timeout(30, connect=5, read=_EVENTS_SILENCE_SECONDS)
        with self._http.stream("GET", f"/v1/reports/{report_id}/events", headers=headers, timeout=timeout) as answer:
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                raise _UnavailableError(_problem(answer))
            _check(answer)
            yield from parse_events(answer.iter_lines())

    def _json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        with self._told():
            answer = self._http.request(method, path, **request)
        _check(answer)
        try:
            body = answer.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise CommandError(
                "The answer is not the gateway's", f"{self.url}{path} sent no JSON object.", _REMEDY_UNREACHABLE
            )
        return body

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (httpx.TransportError, httpx.UnsupportedProtocol) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> CommandError:
        return CommandError(
            f"Cannot reach the gateway at {self.url}",
            str(error) or type(error).__name__,
            _REMEDY_UNREACHABLE,
            Exit.UNREACHABLE,
        )


class _UnavailableError(Exception):
    """The gateway answers that it cannot, for now."""


def parse_events(lines: Iterator[str]) -> Iterator[tuple[str, Event]]:
    """Yield the events of a `text/event-stream` with their ids; an event without an id has an empty one.

    Comments and events whose data is no JSON object are passed over.
    """
    name, event_id, data = "message", "", []
    for line in lines:
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                name = value
            elif field == "id":
                event_id = value
            elif field == "data":
                data.append(value)
            continue
        if data:
            try:
                parsed = json.loads("\n".join(data))
            except ValueError:
                parsed = None
            if isinstance(parsed, dict):
                yield event_id, Event(name, parsed)
        name, event_id, data = "message", "", []


def _check(answer: httpx.Response) -> None:
    """Turn a refusal into an error that says what to do."""
    if answer.is_success:
        return
    why = _problem(answer)
    match answer.status_code:
        case 404:
            raise CommandError(
                "Not found", why, "`tardigrade report list` shows the reports there are.", Exit.NOT_FOUND
            )
        case 400 | 422:
            raise CommandError("The gateway refused the request", why, "Correct it and try again.", Exit.USAGE)
        case 409:
            raise CommandError("Not in this state", why, "`tardigrade report get ID` shows where the report is.")
        case 503:
            wait = answer.headers.get("retry-after")
            remedy = f"Try again{f' in {wait} s' if wait else ''}; `tardigrade doctor` looks for the cause."
            raise CommandError("The gateway is not able to answer now", why, remedy, Exit.UNREACHABLE)
        case status:
            raise CommandError(f"The gateway answered {status}", why, "`tardigrade doctor` looks for the cause.")


def _problem(answer: httpx.Response) -> str:
    """Return the reason in an `application/problem+json` body, with the fields that it names."""
    try:
        problem = json.loads(answer.read())
    except ValueError:
        problem = None
    if not isinstance(problem, dict):
        return answer.reason_phrase or f"status {answer.status_code}"
    fields = [f"{error.get('field')}: {error.get('message')}" for error in problem.get("errors") or []]
    return "; ".join(fields) or str(problem.get("detail") or problem.get("title") or answer.reason_phrase)
