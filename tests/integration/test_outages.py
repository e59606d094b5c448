"""The store and Temporal stopped and started, and a backlog that waits longer than any timeout of a call."""

from collections.abc import Iterator

import pytest

from services.cli.stack import LocalStack
from services.llm_worker.register import State
from tests.integration.pipeline import HEARTBEAT_TIMEOUT_SECONDS, Pipeline, prompt, running, undisturbed, wait_for

LLM_CONCURRENCY = 2
FIRST_TOKEN_SECONDS, IDLE_SECONDS, WHOLE_SECONDS = 3, 3, 12


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    stack = LocalStack(
        tmp_path_factory.mktemp("outages"),
        llm_env={
            "LLM_CONCURRENCY": str(LLM_CONCURRENCY),
            "LLM_FIRST_TOKEN_SECONDS": str(FIRST_TOKEN_SECONDS),
            "LLM_IDLE_SECONDS": str(IDLE_SECONDS),
            "LLM_MAX_CALL_SECONDS": str(WHOLE_SECONDS),
        },
        web_ui=False,
    )
    with running(stack) as pipeline:
        yield pipeline


def test_the_store_stops_and_starts(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    paid = prompt("Paid for before the store went away", answer_tokens=100)
    streamed = prompt("Streamed while the store is away", answer_tokens=100, tokens_per_second=20)
    paid_id = pipeline.start(paid, pause_seconds=4)
    pipeline.in_stage(paid_id, "pause")
    streamed_id = pipeline.start(streamed)
    pipeline.streaming(streamed)
    stack.object_store.terminate()
    later = prompt("Asked for while the store is away", answer_tokens=100)
    later_id = pipeline.start(later)

    waiting = pipeline.until(
        paid_id, "the PDF step fails and is tried again", lambda one: one["last_failure"] and one["attempt"] >= 2
    )
    assert waiting["status"] == "in_progress"
    assert waiting["stage"] == "pdf"
    assert waiting["last_failure"]["type"] == "storage"
    assert stack.s3_endpoint in waiting["last_failure"]["message"]
    refused = pipeline.until(later_id, "the call fails and is tried again", lambda one: one["last_failure"])
    assert refused["last_failure"]["type"] == "storage"
    assert not pipeline.requests(later), "without the store nothing is sent"
    # Its answer arrives, cannot be recorded, and so rides to the PDF step in Temporal's history.
    pipeline.in_stage(streamed_id, "pdf")
    stack.object_store.restart()

    for text, report_id in ((paid, paid_id), (streamed, streamed_id), (later, later_id)):
        pipeline.completed(report_id)
        assert [charge["state"] for charge in pipeline.charges(text)] == ["finished"], text
        assert pipeline.markdown(report_id) == undisturbed(text)
        assert undisturbed(text)[2:30] in pipeline.pdf_text(report_id)
        register = pipeline.register(report_id)
        assert register is not None
        assert (register.state, register.text) == (State.DONE, undisturbed(text)), "the PDF step has recorded it"


def test_temporal_stops_and_starts(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    workers = [stack.orchestrator, stack.llm_worker, stack.pdf_worker, stack.gateway]
    pids = [worker.pid for worker in workers]
    paused = prompt("Paused while Temporal is away", answer_tokens=100)
    streamed = prompt("Streamed while Temporal is away", answer_tokens=100, tokens_per_second=25)
    paused_id = pipeline.start(paused, pause_seconds=3)
    pipeline.in_stage(paused_id, "pause")
    streamed_id = pipeline.start(streamed)
    pipeline.streaming(streamed)
    stack.temporal.terminate()
    assert pipeline.report(streamed_id) is None, "the gateway says that it cannot know"
    wait_for(
        "the answer ends while Temporal is away",
        lambda: [charge["state"] for charge in pipeline.charges(streamed)] == ["finished"],
    )
    stack.temporal.restart()
    for text, report_id in ((paused, paused_id), (streamed, streamed_id)):
        pipeline.completed(report_id)
        assert [charge["state"] for charge in pipeline.charges(text)] == ["finished"]
        assert pipeline.markdown(report_id) == undisturbed(text)
    assert [worker.pid for worker in workers] == pids, "no worker was restarted"
    assert all(worker.ready() for worker in workers)


def test_a_backlog_longer_than_any_timeout_loses_nothing(pipeline: Pipeline) -> None:
    seconds, rate = 7, 20
    texts = [
        prompt(f"In the queue, number {number}", answer_tokens=seconds * rate, tokens_per_second=rate)
        for number in range(3 * LLM_CONCURRENCY)
    ]
    reports = [pipeline.start(text) for text in texts]
    for report_id in reports:
        pipeline.completed(report_id)
    charges = [charge for text in texts for charge in pipeline.charges(text)]
    assert [charge["state"] for charge in charges] == ["finished"] * len(texts)
    begun = sorted(charge["started_at"] for charge in charges)
    # The last ones waited in the queue for longer than a call may take, and than a worker may stay silent.
    assert begun[-1] - begun[0] > max(WHOLE_SECONDS, HEARTBEAT_TIMEOUT_SECONDS)
