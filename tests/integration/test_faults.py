"""Each way in which a provider fails, a cancelled report, a wrong key, and the key that is found nowhere."""

import asyncio
import time
from collections.abc import Iterator

import httpx
import pytest
from temporalio.client import Client

from services.cli.stack import LocalStack
from services.contracts.errors import ErrorType
from tests.integration.pipeline import Pipeline, prompt, running, undisturbed, wait_for

TOKENS = 150
WRONG_KEY = "wrong-key-of-an-operator-5c1f7e2a"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    stack = LocalStack(
        tmp_path_factory.mktemp("faults"),
        llm_env={"LLM_FIRST_TOKEN_SECONDS": "2", "LLM_IDLE_SECONDS": "2"},
        web_ui=False,
    )
    for part in (stack.orchestrator, stack.llm_worker, stack.pdf_worker, stack.gateway):
        part.env["LOG_LEVEL"] = "debug"  # even so, no key in a log
    with running(stack) as pipeline:
        yield pipeline


def faulty(fault: str) -> str:
    return prompt(f"How a report fares with {fault.partition(':')[0]}", answer_tokens=TOKENS, fault=fault)


# What ends well after a retry: the fault, and the states of its requests.
MENDED = {
    "rate-limit:first=1:retry-after=4": ["refused", "finished"],
    "overloaded:first=1:retry-after=3": ["refused", "finished"],
    "server-error:first=2": ["refused", "refused", "finished"],
    "hang:first=1": ["client_gone", "finished"],
    "stall:first=1": ["client_gone", "finished"],
    "cut:first=1": ["failed", "finished"],
    "malformed:first=1": ["failed", "finished"],
    "stream-error:first=1": ["failed", "finished"],
    "no-usage": ["finished"],
}
# What fails at once, on the first request: the fault, the reason, and whether the provider bills it.
FATAL = {
    "quota": (ErrorType.QUOTA_EXHAUSTED, False),
    "auth": (ErrorType.AUTHENTICATION, False),
    "bad-request": (ErrorType.BAD_REQUEST, False),
    "context-length": (ErrorType.CONTEXT_WINDOW, False),
    "empty": (ErrorType.EMPTY_ANSWER, True),
    "content-filter": (ErrorType.CONTENT_FILTER, True),
}
CUT_SHORT = "length"
NEVER_WHOLE = "cut"


@pytest.fixture(scope="module")
def reports(pipeline: Pipeline) -> dict[str, str]:
    return {fault: pipeline.start(faulty(fault)) for fault in (*MENDED, *FATAL, CUT_SHORT, NEVER_WHOLE)}


@pytest.mark.parametrize("fault", MENDED)
def test_a_fault_that_passes(pipeline: Pipeline, reports: dict[str, str], fault: str) -> None:
    report = pipeline.completed(reports[fault])
    requests = pipeline.requests(faulty(fault))
    assert [request["state"] for request in requests] == MENDED[fault]
    assert pipeline.markdown(reports[fault]) == undisturbed(faulty(fault))
    register = pipeline.register(reports[fault])
    assert register is not None
    assert sum(attempt.billed for attempt in register.attempts) == len(pipeline.charges(faulty(fault)))
    spend = report["spend"]
    assert spend["output_tokens"] >= sum(request["output_tokens"] for request in requests[-1:])
    assert (spend["wasted_tokens"] > 0) == (len(pipeline.charges(faulty(fault))) > 1)
    if "retry-after" in fault:
        refused, accepted = requests
        assert accepted["started_at"] - refused["closed_at"] >= int(fault[-1])


@pytest.mark.parametrize("fault", FATAL)
def test_a_fault_that_stays(pipeline: Pipeline, reports: dict[str, str], fault: str) -> None:
    error_type, billed = FATAL[fault]
    report = pipeline.ended(reports[fault])
    assert report["status"] == "failed"
    assert report["error"]["type"] == error_type
    assert len(report["error"]["message"]) > 40, "the message says what to do"
    assert [request["state"] for request in pipeline.requests(faulty(fault))] == ["finished" if billed else "refused"]


def test_an_answer_that_was_cut_short(pipeline: Pipeline, reports: dict[str, str]) -> None:
    report = pipeline.completed(reports[CUT_SHORT])
    assert len(pipeline.requests(faulty(CUT_SHORT))) == 1
    (warning,) = report["warnings"]
    assert "cut off" in warning
    assert warning in pipeline.pdf_text(reports[CUT_SHORT])
    assert undisturbed(faulty(CUT_SHORT)).startswith(pipeline.markdown(reports[CUT_SHORT]))


def test_an_answer_that_never_arrives_whole(pipeline: Pipeline, reports: dict[str, str]) -> None:
    report = pipeline.ended(reports[NEVER_WHOLE])
    assert report["status"] == "failed"
    assert report["error"]["type"] == ErrorType.REBUY_LIMIT
    assert "bought 3 times" in report["error"]["message"]
    assert [charge["state"] for charge in pipeline.charges(faulty(NEVER_WHOLE))] == ["failed"] * 3


def test_a_cancelled_report_closes_the_stream(pipeline: Pipeline) -> None:
    text = prompt("Nobody wants this any more", answer_tokens=5000, tokens_per_second=20)
    report_id = pipeline.start(text)
    pipeline.streaming(text)
    asked = time.monotonic()
    assert pipeline.api.post(f"/v1/reports/{report_id}/cancel").status_code == 202
    closed = wait_for(
        "the stream is closed", lambda: next((one for one in pipeline.charges(text) if one["closed_at"]), None)
    )
    # Both clocks are this machine's monotonic one. 5 s is the promise.
    assert closed["closed_at"] - asked < 5
    assert closed["state"] == "client_gone"
    assert pipeline.ended(report_id)["status"] == "cancelled"
    assert len(pipeline.requests(text)) == 1


def test_a_wrong_key_fails_at_once_and_a_mended_one_goes_on(pipeline: Pipeline) -> None:
    worker = pipeline.stack.llm_worker
    right = worker.env["LLM_API_KEY"]
    text = prompt("Asked with a wrong key", answer_tokens=TOKENS)
    worker.env["LLM_API_KEY"] = WRONG_KEY
    worker.restart()
    report_id = pipeline.start(text)
    report = pipeline.ended(report_id, seconds=10)
    assert report["status"] == "failed"
    assert report["error"]["type"] == ErrorType.AUTHENTICATION
    assert "LLM_API_KEY" in report["error"]["message"]
    assert [request["state"] for request in pipeline.requests(text)] == ["refused"]
    worker.env["LLM_API_KEY"] = right
    worker.restart()
    assert pipeline.api.post(f"/v1/reports/{report_id}/retry").status_code == 202
    pipeline.completed(report_id)
    assert [request["state"] for request in pipeline.requests(text)] == ["refused", "finished"]


def test_secrets_are_found_nowhere(pipeline: Pipeline, reports: dict[str, str]) -> None:
    """After all of the above: histories, logs, metrics and objects hold no key, though each holds what it should."""
    stack = pipeline.stack
    for report_id in reports.values():
        pipeline.ended(report_id)
    places = {
        "histories": asyncio.run(histories(stack.temporal_address)),
        "logs": b"".join(path.read_bytes() for path in sorted((stack.state_dir / "logs").iterdir())),
        "metrics": metrics(stack),
        "objects": b"".join(pipeline.store.read(key).data for key in pipeline.store.keys("")),
        "reports": b"".join(pipeline.api.get(f"/v1/reports/{one}").content for one in reports.values()),
    }
    # Each search would find something: that it finds no key means that there is none.
    present = {
        "histories": "How a report fares",
        "logs": "call failed",
        "metrics": "tardigrade_llm_calls_total",
        "objects": "How a report fares",
        "reports": "How a report fares",
    }
    keys = [stack.llm_worker.env["LLM_API_KEY"], WRONG_KEY, stack.s3_env["AWS_SECRET_ACCESS_KEY"]]
    for place, content in places.items():
        assert present[place].encode() in content, place
        for key in keys:
            assert len(key) > 20
            assert key.encode() not in content, f"a key stands in the {place}"
    told = [line for line in places["logs"].splitlines() if b'"level": "debug"' not in line]
    for line in (*told, places["metrics"]):
        assert b"How a report fares" not in line, "a prompt stands in a metric, or in the log above DEBUG"


async def histories(address: str) -> bytes:
    client = await Client.connect(address)
    found = []
    async for execution in client.list_workflows():
        handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
        history = await handle.fetch_history()
        # Payloads lie in the serialized events as they were sent; in JSON they would be hidden by base64.
        found += [event.SerializeToString() for event in history.events]
        found.append((await handle.describe()).raw_description.SerializeToString())
    return b"".join(found)


def metrics(stack: LocalStack) -> bytes:
    pods = [stack.llm_worker.url, stack.pdf_worker.url, stack.orchestrator.url, stack.simulator.url]
    pods.append(f"http://127.0.0.1:{stack.gateway.env['POD_HTTP_PORT']}")
    return b"".join(httpx.get(f"{pod}/metrics", trust_env=False).raise_for_status().content for pod in pods)
