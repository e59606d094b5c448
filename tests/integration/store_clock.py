"""An object store whose clock is wrong: a proxy on loopback that moves `Date` and `Last-Modified` alike."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from services.cli.ports import LOOPBACK

_DATES = ("date", "last-modified")


@contextmanager
def wrong_clock(endpoint: str, off_by: timedelta) -> Iterator[str]:
    """Yield the address of a store that is the one at `endpoint`, with a clock that is off."""
    target = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            store = http.client.HTTPConnection(target, timeout=30)
            try:
                # The header `Host` is passed on too: it is part of what the client has signed.
                store.request(self.command, self.path, body, dict(self.headers.items()))
                answer = store.getresponse()
                data = answer.read()
            finally:
                store.close()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() in _DATES:
                    value = format_datetime(parsedate_to_datetime(value) + off_by, usegmt=True)
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            if answer.status not in (204, 304):
                length = answer.getheader("content-length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = forward

        def log_message(self, format: str, *args: object) -> None:
            """Keep the tests' output clean."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
