"""A log line is one JSON object with the context that finds it in Temporal."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from temporalio import activity
from temporalio.testing import ActivityEnvironment

from services.runtime import logs
from services.runtime.settings import LogFormat


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("test", "info", LogFormat.JSON)
    structlog.get_logger("a").info("two\nlines", answer=42)
    logging.getLogger("b").warning("from %s", "elsewhere")
    structlog.get_logger("a").debug("not written")
    first, second = lines(capsys)
    assert (first["service"], first["message"], first["answer"], first["level"]) == ("test", "two\nlines", 42, "info")
    assert (second["message"], second["logger"]) == ("from elsewhere", "b")


async def test_a_line_of_an_activity_says_which(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("test", "info", LogFormat.JSON)

    @activity.defn
    async def work() -> None:
        structlog.get_logger("a").info("working")
        activity.logger.info("the SDK's own logger")

    await ActivityEnvironment().run(work)
    for line in lines(capsys):
        assert {"workflow_id", "run_id", "activity_type", "attempt"} <= set(line)


def test_libraries_that_log_requests_are_kept_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("test", "debug", LogFormat.JSON)
    for library in ("httpx", "openai", "LiteLLM", "botocore"):
        logging.getLogger(library).info("prompt and key")
    assert not lines(capsys)


def test_an_exception_stays_on_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("test", "info", LogFormat.JSON)
    try:
        raise ValueError("bad")
    except ValueError:
        structlog.get_logger("a").exception("failed")
    (line,) = lines(capsys)
    assert "ValueError" in json.dumps(line["exception"])
