"""The pod's HTTP port: `/metrics`, `/livez`, `/readyz`.

It is served from a thread of its own, so that a blocked event loop cannot hide behind a probe that never runs, and a
busy one does not delay it.
"""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog

from services.runtime import metrics

log = structlog.get_logger(__name__)

Probe = Callable[[], str | None]
"""Returns `None` when all is well, else the reason in one sentence."""


class PodServer:
    """Serves probes and metrics until the process ends."""

    def __init__(
        self, host: str, port: int, *, live: Probe, ready: Probe, temporal: metrics.TemporalMetrics | None
    ) -> None:
        """Listen at once and answer from a daemon thread.

        Raises:
            OSError: The port is taken.
        """

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            timeout = 10

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                if path == "/metrics":
                    try:
                        self._answer(200, metrics.page(temporal), metrics.CONTENT_TYPE)
                    except OSError as error:
                        self._answer(503, f"the Temporal SDK's metrics cannot be read: {error}\n".encode())
                elif path == "/livez":
                    self._probe(live())
                elif path == "/readyz":
                    self._probe(ready())
                else:
                    self._answer(404, b"this port has /metrics, /livez and /readyz\n")

            def _probe(self, reason: str | None) -> None:
                self._answer(503 if reason else 200, f"{reason or 'ok'}\n".encode())

            def _answer(self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
                log.debug("pod http", request=format % args)

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer((host, port), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, name="pod-http", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
