"""Around every request: who may send it, the security headers, a log line, the metrics."""

import ipaddress
import time

import structlog
from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.gateway import problems
from services.gateway.problems import ProblemError
from services.gateway.requests import MAX_BODY_BYTES
from services.runtime.metrics import SECONDS_BUCKETS

log = structlog.get_logger(__name__)

_REQUESTS = Counter("tardigrade_http_requests_total", "Requests answered.", ["method", "route", "status"])
_SECONDS = Histogram(
    "tardigrade_http_request_seconds",
    "Seconds from a request to the end of its answer; of an event stream, how long somebody listened.",
    ["route"],
    buckets=SECONDS_BUCKETS,
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

_TOO_LARGE = f"The body has more than {MAX_BODY_BYTES:,} bytes"

_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
}


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address is this machine's own, whatever a resolver says."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


class Guard:
    """Refuses bodies that are too large, and what a web page of somebody else could make a visitor's browser send.

    The API has no login of its own, so on a developer's machine any page could otherwise start reports: a browser sends
    a form or `text/plain` anywhere without asking. It asks first (CORS preflight) for JSON, and is refused. A page
    whose name was made to point to this machine (DNS rebinding) would pass for the API's own; its `Host` betrays it.
    """

    def __init__(self, app: ASGIApp, *, loopback: bool) -> None:
        """Wrap an app.

        Args:
            app: The app.
            loopback: Only this machine can connect, so a request for any other host's name is refused.
        """
        self._app = app
        self._loopback = loopback

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on or answer why not."""
        problem = _refused(scope, self._loopback) if scope["type"] == "http" else None
        if problem is not None:
            await problems.response(problem)(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)  # the one kind of error that FastAPI lets through from here
            return message

        await self._app(scope, limited, send)


def _refused(scope: Scope, loopback: bool) -> ProblemError | None:
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if loopback and not is_loopback(_without_port(host)):
        detail = "This gateway serves its own machine only, as localhost. Set GATEWAY_HOST to serve others."
        return ProblemError(421, "misdirected-request", "Misdirected Request", detail)
    if scope["method"] in _SAFE_METHODS:
        return None
    origin = headers.get("origin")
    if origin is not None and origin.partition("://")[2].lower() != host.lower():
        detail = "A web page of another origin may not change anything here."
        return ProblemError(403, "cross-origin", "Cross-origin request", detail)
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > MAX_BODY_BYTES:
        return ProblemError(413, "request-entity-too-large", "Request Entity Too Large", f"{_TOO_LARGE}.")
    has_body = length != "0" or "transfer-encoding" in headers
    if has_body and headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        detail = "Send the body as JSON with the header Content-Type: application/json."
        return ProblemError(415, "unsupported-media-type", "The body is not JSON", detail)
    return None


class Observed:
    """Counts, times and logs each request by its route's template, so that no report id becomes a label."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an app."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and note what became of it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        status = 500  # what the server answers when the app raises before it has answered

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            seconds = time.perf_counter() - begun
            method = scope["method"] if scope["method"] in _METHODS else "OTHER"
            route = getattr(scope.get("route"), "path", "none")
            _REQUESTS.labels(method, route, str(status)).inc()
            _SECONDS.labels(route).observe(seconds)
            say = log.debug if route == "/healthz" else log.info
            say("request", method=method, route=route, status=status, ms=round(seconds * 1000, 1))
