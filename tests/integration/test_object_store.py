"""The object store against a real S3 server, and against one that ignores conditions."""

import hashlib
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from structlog.testing import capture_logs

from services.cli.stack import LocalStack
from services.contracts.reports import ObjectRef
from services.runtime.object_store import (
    CorruptObjectError,
    ObjectMissingError,
    ObjectStore,
    ObjectStoreError,
    PreconditionFailedError,
    UnsupportedStoreError,
    WriteConflictError,
)
from services.runtime.settings import ObjectStoreSettings


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path_factory.mktemp("s3"), web_ui=False)
    stack.start([stack.object_store])
    yield stack
    stack.stop()


@pytest.fixture
def store(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    for name, value in stack.s3_env.items():
        monkeypatch.setenv(name, value)
    store = ObjectStore(ObjectStoreSettings())
    store.prepare()
    return store


def test_what_is_put_is_what_is_got(store: ObjectStore) -> None:
    ref = store.put("reports/a/x.bin", b"\x00\xff", "application/octet-stream")
    assert ref == ObjectRef("reports/a/x.bin", hashlib.sha256(b"\x00\xff").hexdigest(), 2)
    assert store.get(ref) == b"\x00\xff"
    assert list(store.keys("reports/a/")) == ["reports/a/x.bin"]


def test_an_object_that_was_changed_is_not_returned(store: ObjectStore) -> None:
    ref = store.put("reports/a/y", b"one", "text/plain")
    store.put("reports/a/y", b"two", "text/plain")
    with pytest.raises(CorruptObjectError, match="reports/a/y"):
        store.get(ref)


def test_a_missing_object_is_named(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissingError, match="reports/none"):
        store.read("reports/none")


def test_of_many_racing_writers_exactly_one_wins(store: ObjectStore) -> None:
    def write(number: int) -> str | None:
        try:
            return store.put_if("ledger/race", str(number).encode(), etag=None)
        except (PreconditionFailedError, WriteConflictError):
            return None

    with ThreadPoolExecutor(16) as pool:
        won = [etag for etag in pool.map(write, range(16)) if etag]
    assert len(won) == 1
    with pytest.raises(PreconditionFailedError):
        store.put_if("ledger/race", b"late", etag='"0123456789abcdef0123456789abcdef"')
    assert store.put_if("ledger/race", b"next", etag=won[0]) != won[0]


def test_the_age_is_by_the_stores_own_clock(store: ObjectStore) -> None:
    store.put("ledger/age", b"x", "text/plain")
    assert store.read("ledger/age").age_seconds in (0.0, 1.0, 2.0)


def test_the_bucket_is_made_once_with_the_ledgers_lifecycle_rule(store: ObjectStore) -> None:
    store.prepare()
    (rule,) = store._s3.get_bucket_lifecycle_configuration(Bucket=store.bucket)["Rules"]
    assert (rule["Filter"]["Prefix"], rule["Expiration"]["Days"]) == ("ledger/", 90)
    assert not list(store.keys("probe/"))


def test_a_presigned_address_needs_no_key_and_offers_a_safe_name(store: ObjectStore) -> None:
    store.put("reports/a/p", b"pdf", "application/pdf")
    address = store.presign("reports/a/p", filename='../a"b\r\nX: y.pdf')
    with urllib.request.urlopen(address) as response:
        assert response.read() == b"pdf"
        assert response.headers["Content-Disposition"] == 'attachment; filename="..abX y.pdf"'


def test_deleting_twice_is_no_error(store: ObjectStore) -> None:
    store.put("reports/b/1", b"1", "text/plain")
    store.delete(["reports/b/1"])
    store.delete(["reports/b/1"])
    assert not list(store.keys("reports/b/"))


def test_a_wrong_key_is_told_from_a_missing_object(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**stack.s3_env, "AWS_SECRET_ACCESS_KEY": "wrong"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ObjectStoreError, match=r"head_bucket of 'tardigrade' at http://127\.0\.0\.1:\d+ .*403"):
        ObjectStore(ObjectStoreSettings()).prepare()


class _Careless(BaseHTTPRequestHandler):
    """An S3 server that takes every write, whatever its condition."""

    def do_HEAD(self) -> None:
        self._say(200)

    def do_PUT(self) -> None:
        self._say(200)

    def do_DELETE(self) -> None:
        self._say(204)

    def _say(self, status: int) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(status)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        del format, args


class _WithoutLifecycle(_Careless):
    """One that has no bucket yet, and knows no lifecycle rules."""

    def do_HEAD(self) -> None:
        self._say(404)

    def do_PUT(self) -> None:
        self._say(501 if "lifecycle" in self.path else 200)


def point_at(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        point_at(endpoint, monkeypatch)
        yield endpoint
        server.shutdown()


def test_a_store_that_ignores_conditions_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        serving(_Careless, monkeypatch) as endpoint,
        pytest.raises(UnsupportedStoreError, match=f"{endpoint} ignores If-None-Match"),
    ):
        ObjectStore(ObjectStoreSettings()).prepare()


def test_a_store_without_lifecycle_rules_is_good_enough_but_not_silently(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        serving(_WithoutLifecycle, monkeypatch),
        capture_logs() as logs,
        pytest.raises(UnsupportedStoreError),  # it goes on to look at the conditions
    ):
        ObjectStore(ObjectStoreSettings()).prepare()
    (warning,) = logs
    assert (warning["log_level"], warning["prefix"], warning["days"]) == ("warning", "ledger/", 90)


def test_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    point_at("http://127.0.0.1:1", monkeypatch)
    with pytest.raises(ObjectStoreError, match="Could not connect"):
        ObjectStore(ObjectStoreSettings()).put("x", b"", "text/plain")
