"""A worker that is not dead: cut off from Temporal, or frozen, on a store whose clock is ten minutes off.

Three workers each stream one answer; one loses its way to Temporal, one is frozen for longer than the heartbeat timeout
but shorter than the lease, one for longer than the lease. A fourth, healthy, worker gets the second attempts.
"""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
import pytest

from services.cli.process import LocalProcess
from services.cli.stack import LocalStack
from services.llm_worker.register import AttemptState, State
from tests.integration.link import Link
from tests.integration.pipeline import Json, Pipeline, llm_worker, running, undisturbed, wait_for
from tests.integration.store_clock import wrong_clock

TOKENS, RATE = 500, 20
"""A stream of 25 s still runs when the lease of its frozen owner (15 s) has ended and another has taken over."""

CLOCKS = {"fast": timedelta(minutes=10), "slow": timedelta(minutes=-10)}


@dataclass
class Scene:
    """What became of the three reports, by what happened to their first worker."""

    pipeline: Pipeline
    texts: dict[str, str]
    reports: dict[str, str]
    ended: dict[str, Json]
    workers: dict[str, LocalProcess]


@pytest.fixture(scope="module", params=CLOCKS)
def scene(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Scene]:
    options = ["--answer-tokens", str(TOKENS), "--tokens-per-second", str(RATE)]
    stack = LocalStack(tmp_path_factory.mktemp("partitions"), simulator_options=options, web_ui=False)
    off = CLOCKS[request.param]
    with ExitStack() as open_ones:
        link = open_ones.enter_context(Link(stack.temporal_address))
        store = open_ones.enter_context(wrong_clock(stack.s3_endpoint, off))
        stack.llm_worker.env |= {"AWS_ENDPOINT_URL_S3": store, "LLM_CONCURRENCY": "1"}
        pipeline = open_ones.enter_context(running(stack, without=[stack.llm_worker]))

        shown = parsedate_to_datetime(httpx.get(store, trust_env=False).headers["date"])
        assert abs(shown - datetime.now(UTC) - off) < timedelta(minutes=1), "the workers' store has a wrong clock"

        def worker(name: str, **env: str) -> LocalProcess:
            return open_ones.enter_context(llm_worker(stack, name, **env))

        workers = {
            "cut off": worker("cut-off", TEMPORAL_ADDRESS=link.address),
            "frozen": worker("frozen"),
            "long frozen": worker("long-frozen"),
        }
        for one in workers.values():
            one.wait_ready()
        texts = [f"What becomes of call {number}" for number in range(3)]
        started = {pipeline.start(text): text for text in texts}
        for text in texts:
            pipeline.streaming(text)
        by_pid = {pipeline.worker_pid(report_id): report_id for report_id in started}
        reports = {name: by_pid[one.pid] for name, one in workers.items()}
        wait_for("each is journalled", lambda: all((r := pipeline.register(one)) and r.pieces for one in started))

        link.swallow()
        workers["frozen"].signal(signal.SIGSTOP)
        workers["long frozen"].signal(signal.SIGSTOP)
        workers["healthy"] = worker("healthy", LLM_CONCURRENCY="10")
        # What is bought from now on is quick, so that a second purchase could not hide behind the end of the first.
        pipeline.set_simulator(tokens_per_second=200)

        # Temporal misses the heartbeats for 10 s and gives the work to the healthy worker, which finds the register's
        # owner within its lease of 15 s, and says so after 2 s.
        wait_for("the second attempt waits", lambda: pipeline.waits(reports["frozen"]), 15)
        workers["frozen"].signal(signal.SIGCONT)
        wait_for(
            "the register is taken over",
            lambda: (register := pipeline.register(reports["long frozen"])) and len(register.attempts) == 2,
            30,
        )
        workers["long frozen"].signal(signal.SIGCONT)
        ended = {name: pipeline.completed(report_id) for name, report_id in reports.items()}
        link.mend()
        yield Scene(pipeline, {name: started[one] for name, one in reports.items()}, reports, ended, workers)


@pytest.mark.parametrize("name", ["cut off", "frozen"])
def test_a_worker_that_is_missed_but_alive_is_waited_for(scene: Scene, name: str) -> None:
    text, pipeline = scene.texts[name], scene.pipeline
    assert [charge["state"] for charge in pipeline.charges(text)] == ["finished"], "no second purchase"
    register = pipeline.register(scene.reports[name])
    assert register is not None
    assert [attempt.state for attempt in register.attempts] == [AttemptState.FINISHED]
    assert scene.ended[name]["spend"]["outcomes"] == {"adopted": 1}, "the second attempt has waited and adopted"
    assert pipeline.markdown(scene.reports[name]) == undisturbed(text, tokens=TOKENS)


def test_a_worker_frozen_for_longer_than_the_lease_is_taken_over_once(scene: Scene) -> None:
    text, pipeline, report_id = scene.texts["long frozen"], scene.pipeline, scene.reports["long frozen"]
    closed = wait_for(
        "the woken worker closes its stream",
        lambda: states if "running" not in (states := [charge["state"] for charge in pipeline.charges(text)]) else None,
    )
    assert closed == ["client_gone", "finished"]
    register = pipeline.register(report_id)
    assert register is not None
    assert register.state is State.DONE
    assert [attempt.state for attempt in register.attempts] == [AttemptState.LOST, AttemptState.FINISHED]
    spend = scene.ended["long frozen"]["spend"]
    assert spend["outcomes"] == {"rebought": 1}
    assert spend["wasted_tokens"] > 0
    assert pipeline.markdown(report_id) == undisturbed(text, tokens=TOKENS)


def test_every_worker_has_lived_through_it(scene: Scene) -> None:
    for name, worker in scene.workers.items():
        assert worker.running, name
        wait_for(f"the worker that was {name} polls again", worker.ready)
    text = "Afterwards"
    scene.pipeline.completed(scene.pipeline.start(text))
    assert len(scene.pipeline.charges(text)) == 1
