"""What the gateway answers by itself: neither Temporal nor the object store is there."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from prometheus_client import REGISTRY

from services.gateway import openapi
from services.gateway.app import create_app
from services.gateway.requests import MAX_BODY_BYTES
from services.runtime import temporal
from services.runtime.object_store import ObjectStore
from services.runtime.settings import ObjectStoreSettings

NOBODY = "127.0.0.1:1"
"""Port 1 is reserved and nothing listens on it, so a connection is refused at once."""

REPORT = "/v1/reports/report-00000000000000000000"


@pytest.fixture(scope="module")
def store() -> Iterator[ObjectStore]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TEMPORAL_ADDRESS", NOBODY)
        environment.setenv("AWS_ENDPOINT_URL_S3", f"http://{NOBODY}")
        environment.setenv("AWS_ACCESS_KEY_ID", "key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        yield ObjectStore(ObjectStoreSettings())


@pytest.fixture
async def app(store: ObjectStore) -> FastAPI:
    return create_app(await temporal.connect(lazy=True), store, stop=asyncio.Event())


@pytest.fixture
async def api(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


@pytest.fixture
async def local_api(store: ObjectStore) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(await temporal.connect(lazy=True), store, loopback=True, stop=asyncio.Event())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client


def problem(answer: httpx.Response, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert body["status"] == status
    assert str(body["type"]).startswith("urn:tardigrade:problem:")
    assert body["title"]
    assert body["detail"]
    return body


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x" * 32_001}, "prompt"),
        ({"prompt": "a\u0000"}, "prompt"),
        ({"prompt": "x", "surprise": 1}, "surprise"),
        ({"prompt": "x", "pause_seconds": -1}, "pause_seconds"),
        ({"prompt": "x", "language": "klingon!"}, "language"),
        ({"prompt": "x", "paper": "a5"}, "paper"),
        ({"prompt": "x", "max_cost_usd": 0}, "max_cost_usd"),
        ({"prompt": "x", "max_tokens": 0}, "max_tokens"),
        ({"prompt": "x", "model": "a b"}, "model"),
        ({"prompt": "x", "query": 1}, "query"),
        ({"prompt": "x", "\ud800": 1}, "body"),
        ([], "body"),
    ],
)
async def test_a_bad_field_is_named(api: httpx.AsyncClient, body: object, field: str) -> None:
    content = json.dumps(body).encode()
    answer = problem(await api.post("/v1/reports", content=content, headers={"Content-Type": "application/json"}), 422)
    errors = answer["errors"]
    assert isinstance(errors, list)
    assert [error["field"] for error in errors] == [field]


async def test_the_input_is_not_sent_back(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/reports", json={"prompt": "my secret plan\u0001", "paper": "private"})
    assert problem(answer, 422)
    assert "secret" not in answer.text
    assert "private" not in answer.text


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b'"', b"\xff\xfe", b'{"prompt": NaNaN}', b"1" * 5000])
async def test_what_is_not_json(api: httpx.AsyncClient, content: bytes) -> None:
    answer = await api.post("/v1/reports", content=content, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    problem(answer, answer.status_code)


async def test_a_body_that_is_too_large(api: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b" " * 1024

    json_type = {"Content-Type": "application/json"}
    problem(await api.post("/v1/reports", content=b" " * (MAX_BODY_BYTES + 1), headers=json_type), 413)
    problem(await api.post("/v1/reports", content=chunks(), headers=json_type), 413)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_only_json_is_read(api: httpx.AsyncClient, kind: str) -> None:
    problem(await api.post("/v1/reports", content=b'{"prompt": "x"}', headers={"Content-Type": kind}), 415)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://[", "http://gateway:81", "http://gateway.evil.example"]
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/reports"), ("POST", f"{REPORT}/cancel"), ("DELETE", REPORT)]
)
async def test_another_origins_page_changes_nothing(
    api: httpx.AsyncClient, origin: str, method: str, path: str
) -> None:
    problem(await api.request(method, path, headers={"Origin": origin}), 403)


async def test_the_own_origin_may(api: httpx.AsyncClient) -> None:
    problem(await api.post("/v1/reports", json={}, headers={"Origin": "http://gateway"}), 422)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "", "[", "[::2]"]
)
async def test_on_loopback_another_hosts_name_is_refused(local_api: httpx.AsyncClient, host: str) -> None:
    for method in ("GET", "POST"):
        problem(await local_api.request(method, "/v1/reports", headers={"Host": host}), 421)


@pytest.mark.parametrize("host", ["localhost:8080", "LOCALHOST", "127.0.0.1:8080", "[::1]:8080", "app.localhost"])
async def test_on_loopback_the_machine_itself_is_served(local_api: httpx.AsyncClient, host: str) -> None:
    assert (await local_api.get("/healthz", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_bad_key(api: httpx.AsyncClient, key: str) -> None:
    answer = problem(await api.post("/v1/reports", json={"prompt": "x"}, headers={"Idempotency-Key": key}), 422)
    assert answer["errors"] == [
        {"field": "Idempotency-Key", "message": "it must be 1 to 255 printable ASCII characters"}
    ]


@pytest.mark.parametrize("bad", ["report-1", "REPORT-00000000000000000000", "other", "report-0000000000000000000g"])
@pytest.mark.parametrize(
    ("method", "suffix"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/cancel"),
        ("POST", "/retry"),
        ("GET", "/events"),
        ("GET", "/pdf"),
        ("GET", "/markdown"),
    ],
)
async def test_an_id_that_is_not_ours_goes_nowhere(api: httpx.AsyncClient, bad: str, method: str, suffix: str) -> None:
    problem(await api.request(method, f"/v1/reports/{bad}{suffix}"), 404)


async def test_no_such_path_and_no_such_method(api: httpx.AsyncClient) -> None:
    problem(await api.get("/v2"), 404)
    assert "GET" in (await api.put("/v1/reports", json={})).headers["allow"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "status=done", "cursor=%21", "cursor=YQ=="])
async def test_a_bad_query(api: httpx.AsyncClient, query: str) -> None:
    answer = problem(await api.get(f"/v1/reports?{query}"), 422)
    errors = answer["errors"]
    assert isinstance(errors, list)
    assert errors[0]["field"] == query.partition("=")[0]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/reports"),
        ("GET", REPORT),
        ("DELETE", REPORT),
        ("POST", f"{REPORT}/cancel"),
        ("POST", f"{REPORT}/retry"),
        ("GET", f"{REPORT}/events"),
        ("GET", f"{REPORT}/pdf"),
    ],
)
async def test_without_temporal_it_says_so(api: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await api.request(method, path)
    problem(answer, 503)
    assert int(answer.headers["retry-after"]) > 0


async def test_it_is_up_without_temporal(api: httpx.AsyncClient) -> None:
    assert (await api.get("/healthz")).json() == {"status": "ok"}
    links = (await api.get("/")).json()["links"]
    assert (await api.get(links["openapi"])).json()["openapi"].startswith("3.")


async def test_security_headers(api: httpx.AsyncClient) -> None:
    headers = (await api.get("/")).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].startswith("default-src 'none'")


async def test_requests_are_counted_by_the_routes_template(api: httpx.AsyncClient) -> None:
    def count(method: str, route: str, status: str) -> float:
        labels = {"method": method, "route": route, "status": status}
        return REGISTRY.get_sample_value("tardigrade_http_requests_total", labels) or 0

    routes = [("GET", "/v1/reports/{report_id}", "404"), ("GET", "none", "404"), ("OTHER", "none", "404")]
    before = [count(*route) for route in routes]
    await api.get("/v1/reports/nonsense")
    await api.get("/nowhere")
    await api.request("BREW", "/tea")
    assert [count(*route) for route in routes] == [number + 1 for number in before]


async def test_the_committed_openapi_document_is_current() -> None:
    hint = "run `python -m services.gateway.openapi`"
    assert openapi.PATH.read_text() == await openapi.render(), hint


async def test_every_operation_is_documented(app: FastAPI) -> None:
    for path, operations in app.openapi()["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert "503" in operation["responses"], where
            if "requestBody" in operation:
                assert operation["requestBody"]["content"]["application/json"]["examples"], where
    assert "ProblemDetails" in json.dumps(app.openapi()["components"])
