"""What the object store's client sends, seen by a server that only listens."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from services.runtime.object_store import ObjectStore
from services.runtime.settings import ObjectStoreSettings


def test_a_put_is_one_round_trip(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str | None, bytes]] = []

    class Listener(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            seen.append((self.headers["If-Match"], self.headers["Expect"], body))
            self.send_response(200)
            self.send_header("ETag", '"2"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        listening = threading.Thread(target=server.serve_forever)
        listening.start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{server.server_address[1]}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        try:
            store = ObjectStore(ObjectStoreSettings())
            assert store.put_if("ledger/one.json", b"text", etag='"1"') == '"2"'
        finally:
            store._s3.close()
            server.shutdown()
            listening.join()
    assert seen == [('"1"', None, b"text")]
