"""The ledger's promise on real processes: the worker killed at each boundary of a call, for each kind of provider."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.stack import LocalStack
from services.llm_worker.register import AttemptState, State
from tests.integration.pipeline import REPOSITORY, Json, Pipeline, prompt, running, undisturbed, wait_for

TOKENS, RATE = 200, 50
JOURNAL_TOKENS = RATE * 1
"""What one journal interval may lose."""

SWITCH = {"plain": "off", "prefix": "prefix", "background": "background"}

# What is bought after a kill at each boundary, the first purchase included; the README's table.
BOUGHT = {
    "before-send": {"plain": 1, "prefix": 1, "background": 1},
    "after-send": {"plain": 2, "prefix": 2, "background": 2},
    "after-id": {"background": 1},
    "mid-stream": {"plain": 2, "prefix": 2, "background": 1},
    "after-last-token": {"plain": 2, "prefix": 2, "background": 1},
    "after-journal": {"plain": 2, "prefix": 2, "background": 1},
    "after-record": {"plain": 1, "prefix": 1, "background": 1},
    "before-ack": {"plain": 1, "prefix": 1, "background": 1},
}
# What of the first purchase is of use: the whole answer, its text so far, or nothing.
RECORDED = ("after-record", "before-ack")
JOURNALLED = ("after-id", "mid-stream", "after-last-token", "after-journal")
CASES = [(kind, point) for kind in SWITCH for point, bought in BOUGHT.items() if kind in bought]


@dataclass
class Scene:
    """One report for each point, each of which was killed there once."""

    pipeline: Pipeline
    texts: dict[str, str]
    reports: dict[str, str]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    # Varied answers: were one text continued with another's rest, it would show.
    options = ["--vary", "on", "--answer-tokens", str(TOKENS)]
    stack = LocalStack(tmp_path_factory.mktemp("ledger"), simulator_options=options, web_ui=False)
    with running(stack) as pipeline:
        yield pipeline


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    return {}


@pytest.fixture
def scene(pipeline: Pipeline, scenes: dict[str, Scene], kind: str, tmp_path: Path) -> Scene:
    """The scene of a kind of provider, played once."""
    if kind not in scenes:
        scenes[kind] = play(pipeline, kind, tmp_path)
    return scenes[kind]


def play(pipeline: Pipeline, kind: str, marks: Path) -> Scene:
    points = [point for of_kind, point in CASES if of_kind == kind]
    worker, shipped = pipeline.stack.llm_worker, pipeline.stack.llm_worker.argv
    worker.kill()
    worker.env |= {"LLM_RESUME": SWITCH[kind], "PYTHONPATH": str(REPOSITORY)}
    worker.env |= {"KILL_DIR": str(marks), "KILL_POINTS": ",".join(points)}
    worker.argv = [*shipped[:-1], "tests.integration.killing_worker"]
    pipeline.set_simulator(tokens_per_second=RATE, ttft=1)
    worker.start()
    texts = {pipeline.start(text): text for text in (f"Research {number} on {kind}" for number in range(len(points)))}
    wait_for("each point has killed its worker", lambda: worker.exit_code is not None, 60)
    assert worker.exit_code == 0, worker.log_tail()
    killed = {mark.name: mark.read_text() for mark in marks.iterdir()}
    assert sorted(killed) == sorted(points)

    pipeline.set_simulator(tokens_per_second=0, ttft=0)
    worker.argv = shipped
    for name in ("PYTHONPATH", "KILL_DIR", "KILL_POINTS"):
        del worker.env[name]
    worker.start()
    worker.wait_ready()
    for report_id in texts:
        pipeline.ended(report_id)
    return Scene(pipeline, {point: texts[killed[point]] for point in points}, killed)


@pytest.mark.parametrize(("kind", "point"), CASES)
def test_a_kill_at_each_boundary(scene: Scene, kind: str, point: str) -> None:
    text, report_id = scene.texts[point], scene.reports[point]
    report = scene.pipeline.completed(report_id)
    charges = scene.pipeline.charges(text)
    register = scene.pipeline.register(report_id)
    assert register is not None
    assert register.state is State.DONE

    assert len(charges) == BOUGHT[point][kind]
    purchases = sum(attempt.purchase for attempt in register.attempts)
    assert len(charges) == purchases - (point == "before-send"), "every request billed stands in the register"
    attempts = {"after-record": 1, "before-ack": 1}.get(point, 2)
    assert len(register.attempts) == attempts
    assert register.attempts[0].state is (AttemptState.FINISHED if attempts == 1 else AttemptState.LOST)

    resumes = kind != "plain" and point in JOURNALLED
    outcome = "adopted" if point in RECORDED else "resumed" if resumes else "rebought"
    assert report["spend"]["outcomes"] == {outcome: 1}

    # The simulator gives a prompt that is asked again another answer.
    afresh = outcome == "rebought" and point != "before-send"
    assert register.text == undisturbed(text, tokens=TOKENS, variant=int(afresh))
    assert scene.pipeline.markdown(report_id) == register.text

    output = sum(charge["output_tokens"] for charge in charges)
    if (kind == "background" and point in JOURNALLED) or point in (*RECORDED, "before-send"):
        assert output == TOKENS
    elif resumes:
        lost = 0 if point == "after-journal" else JOURNAL_TOKENS
        # As much again for what was on its way when the worker died, and for the time that a write takes.
        assert TOKENS <= output <= TOKENS + 2 * lost
    elif point == "after-send" and kind == "background":
        assert output == 2 * TOKENS, "a response whose id was lost runs to its end"
    elif point == "after-send":
        assert [charge["output_tokens"] for charge in charges] == [0, TOKENS]
    else:
        assert TOKENS < output <= 2 * TOKENS
    wasted = report["spend"]["wasted_tokens"]
    assert (wasted > 0) == (outcome == "rebought"), "what was thrown away is counted"


@pytest.mark.parametrize("kind", ["background"])
def test_a_cancelled_background_response_is_cancelled_at_the_provider(scene: Scene) -> None:
    pipeline = scene.pipeline
    text = prompt("Nobody wants this response any more", answer_tokens=5000, tokens_per_second=20)
    report_id = pipeline.start(text)
    pipeline.streaming(text)
    asked = time.monotonic()
    assert pipeline.api.post(f"/v1/reports/{report_id}/cancel").status_code == 202

    def closed() -> Json | None:
        return next((charge for charge in pipeline.charges(text) if charge["closed_at"]), None)

    charge = wait_for("the response is cancelled", closed)
    assert charge["closed_at"] - asked < 5
    assert charge["state"] == "cancelled"
    assert pipeline.ended(report_id)["status"] == "cancelled"
