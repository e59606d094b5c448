"""The command's side of the HTTP API, against a server that misbehaves on purpose."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from services.cli import client, save
from services.cli.client import Event, Gateway, parse_events
from services.cli.exits import CommandError, Exit

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """Serve every request with `answer` and yield the server's address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        do_POST = do_GET

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def respond(status: int, body: bytes, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def refused_by(answer: Answer) -> CommandError:
    with serving(answer) as url, pytest.raises(CommandError) as caught:
        Gateway(url).get("report-1")
    return caught.value


def test_events_are_parsed_with_their_ids() -> None:
    lines = (
        ': heartbeat\n\nid: 5\nevent: stage\ndata: {\ndata: }\n\nevent:tick\ndata:{"a": 1}\n\nevent: x\ndata: no\n\n'
    )

    assert list(parse_events(iter(lines.split("\n")))) == [("5", Event("stage", {})), ("", Event("tick", {"a": 1}))]


def test_a_broken_stream_goes_on_from_the_last_id() -> None:
    asked: list[str | None] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.headers.get("Last-Event-ID"))
        if len(asked) == 1:
            body = b'id: 7\nevent: stage\ndata: {"stage": "research"}\n\nevent: tick\ndata: {"tokens_so_far": 3}\n\n'
        elif len(asked) == 2:
            respond(503, b"{}", Retry_After="1")(request)
            return
        else:
            body = b'id: 11\nevent: completed\ndata: {"status": "completed"}\n\n'
        respond(200, body, Content_Type="text/event-stream", Content_Length=str(len(body) + (len(asked) == 1)))(request)

    with serving(answer) as url:
        names = [event.name for event in Gateway(url).events("report-1")]

    assert names == ["stage", "tick", "completed"]
    assert asked == [None, "7", "7"]


def test_a_gateway_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_RECONNECT_SECONDS", 0.0)
    with serving(respond(200, b"")) as url:
        pass

    with pytest.raises(CommandError, match="Cannot reach the gateway") as caught:
        list(Gateway(url).events("report-1"))
    assert caught.value.code is Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Exit.USAGE),
        (404, Exit.NOT_FOUND),
        (409, Exit.FAILED),
        (422, Exit.USAGE),
        (500, Exit.FAILED),
        (503, Exit.UNREACHABLE),
    ],
)
def test_each_refusal_has_its_exit_code_and_reason(status: int, code: Exit) -> None:
    error = refused_by(respond(status, json.dumps({"title": "No", "detail": "because"}).encode()))

    assert (error.code, error.why) == (code, "because")


def test_a_refusal_names_the_fields() -> None:
    problem = {"title": "No", "errors": [{"field": "prompt", "message": "it is empty"}]}

    assert refused_by(respond(422, json.dumps(problem).encode())).why == "prompt: it is empty"


def test_a_stranger_on_the_port_is_no_gateway() -> None:
    assert refused_by(respond(200, b"<html>")).what == "The answer is not the gateway's"
    assert refused_by(respond(502, b"<html>")).why == "Bad Gateway"


@pytest.mark.parametrize("url", ["nonsense", "ftp://127.0.0.1", "http://[", "http://127.0.0.1:99999"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(CommandError):
        Gateway(url).get("report-1")


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="bears.pdf"', "bears.pdf"),
        ("attachment; filename*=UTF-8''%C3%9Cber%20B%C3%A4ren.pdf", "Über Bären.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd.pdf"),
        ('attachment; filename="..\\\\..\\\\boot.ini"', "boot.ini.pdf"),
        ('attachment; filename="/etc/cron.d/x.pdf"', "x.pdf"),
        ('attachment; filename=".bashrc"', "bashrc.pdf"),
        ('attachment; filename=".."', "report.pdf"),
        ("attachment; filename*=UTF-8''%00%1b%5b2Jx%0a.pdf", "2Jx.pdf"),
        ("attachment; filename*=UTF-8''a%2f..%2fb.pdf", "b.pdf"),
        ('attachment; filename="-rf.pdf"', "rf.pdf"),
        (f'attachment; filename="{"x" * 500}.pdf"', f"{'x' * 120}.pdf"),
        ("attachment\r\nX: y", "report.pdf"),
        (None, "report.pdf"),
    ],
)
def test_an_offered_name_is_never_a_path(disposition: str | None, name: str) -> None:
    assert save.offered_name(disposition, "pdf") == name


def test_an_interrupted_download_leaves_nothing(tmp_path: Path) -> None:
    cut_off = respond(200, b"%PDF-", Content_Length="500")

    with serving(cut_off) as url, pytest.raises(CommandError):
        save.save(Gateway(url), "report-1", "pdf", tmp_path, force=False)

    assert list(tmp_path.iterdir()) == []
