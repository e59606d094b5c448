"""Each worker killed, and stopped, while reports are in every stage."""

import signal
from collections.abc import Iterator

import pytest

from services.cli.process import LocalProcess
from services.cli.stack import LocalStack
from services.llm_worker.register import State
from tests.integration.link import Link
from tests.integration.pipeline import Pipeline, prompt, running, undisturbed, wait_for


@pytest.fixture(scope="module")
def to_store() -> Iterator[list[Link]]:
    links: list[Link] = []
    yield links
    for link in links:
        link.__exit__(None, None, None)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, to_store: list[Link]) -> Iterator[Pipeline]:
    stack = LocalStack(tmp_path_factory.mktemp("kills"), web_ui=False)
    # The PDF worker alone can lose the store, so that its step retries while the model's calls go on.
    to_store.append(Link(stack.s3_endpoint.removeprefix("http://")))
    stack.pdf_worker.env["AWS_ENDPOINT_URL_S3"] = f"http://{to_store[0].address}"
    with running(stack) as pipeline:
        yield pipeline


def process(stack: LocalStack, name: str) -> LocalProcess:
    return {"orchestrator": stack.orchestrator, "llm": stack.llm_worker, "pdf": stack.pdf_worker}[name]


@pytest.mark.parametrize("name", ["orchestrator", "llm", "pdf"])
def test_a_worker_killed_in_each_stage(pipeline: Pipeline, to_store: list[Link], name: str) -> None:
    victim, link = process(pipeline.stack, name), to_store[0]
    prompts = {
        "queued": prompt(f"Queued while the {name} worker is dead", answer_tokens=100),
        "mid-stream": prompt(f"Streamed while the {name} worker dies", answer_tokens=100, tokens_per_second=20),
        "pause": prompt(f"Paused while the {name} worker dies", answer_tokens=100),
        "pdf": prompt(f"Waiting for the disk while the {name} worker dies", answer_tokens=100),
    }
    link.refuse()
    reports = {"pdf": pipeline.start(prompts["pdf"])}
    pipeline.until(reports["pdf"], "the PDF step has failed", lambda report: report["last_failure"])
    reports["pause"] = pipeline.start(prompts["pause"], pause_seconds=6)
    reports["mid-stream"] = pipeline.start(prompts["mid-stream"])
    pipeline.in_stage(reports["pause"], "pause")
    pipeline.streaming(prompts["mid-stream"])

    victim.kill()
    assert victim.exit_code == -signal.SIGKILL
    stages = {stage: pipeline.report(report_id) for stage, report_id in reports.items()}
    assert [report["stage"] for report in stages.values() if report] == ["pdf", "pause", "research"]
    reports["queued"] = pipeline.start(prompts["queued"])
    pipeline.in_stage(reports["queued"], "pdf" if name == "pdf" else "queued")
    link.mend()
    victim.start()
    victim.wait_ready()

    for stage, report_id in reports.items():
        report = pipeline.completed(report_id)
        lost = name == "llm" and stage == "mid-stream"
        charges = pipeline.charges(prompts[stage])
        # A plain provider cannot continue: what was lost on the way is bought again, and counted.
        assert [charge["state"] for charge in charges] == (["client_gone"] if lost else []) + ["finished"], stage
        register = pipeline.register(report_id)
        assert register is not None
        assert register.state is State.DONE
        assert sum(attempt.purchase for attempt in register.attempts) == len(charges)
        assert report["spend"]["outcomes"] == {"rebought" if lost else "bought": 1}
        assert pipeline.markdown(report_id) == register.text == undisturbed(prompts[stage])


def test_sigterm_in_the_middle_of_a_call(pipeline: Pipeline) -> None:
    worker = pipeline.stack.llm_worker
    text = prompt("Told to stop in the middle of an answer", answer_tokens=80, tokens_per_second=20)
    report_id = pipeline.start(text)
    running_charge = pipeline.streaming(text)
    assert running_charge["state"] == "running"
    worker.signal(signal.SIGTERM)
    later = prompt("Asked for while the worker drains", answer_tokens=100)
    later_id = pipeline.start(later)
    assert worker.wait(30) == 0
    # Complete without any LLM worker: the one that was stopped has finished its call and said so.
    report = pipeline.completed(report_id)
    assert [charge["state"] for charge in pipeline.charges(text)] == ["finished"]
    assert report["spend"]["outcomes"] == {"bought": 1}
    assert pipeline.markdown(report_id) == undisturbed(text)
    assert not pipeline.requests(later), "a stopping worker took new work"
    worker.start()
    worker.wait_ready()
    pipeline.completed(later_id)
    assert len(pipeline.charges(later)) == 1


def test_every_part_killed_at_once(pipeline: Pipeline) -> None:
    stack = pipeline.stack
    rendered = prompt("Rendered when everything dies", answer_tokens=30_000)
    rendered_id = pipeline.start(rendered)
    streamed = prompt("Streamed when everything dies", answer_tokens=100, tokens_per_second=10)
    streamed_id = pipeline.start(streamed)
    pipeline.streaming(streamed)
    wait_for("the PDF is rendered", lambda: pipeline.worker_pid(rendered_id) == stack.pdf_worker.pid)
    parts = [stack.orchestrator, stack.llm_worker, stack.pdf_worker, stack.gateway]
    for part in parts:
        part.kill()
    for part in parts:
        part.start()
    for part in parts:
        part.wait_ready()
    pipeline.completed(rendered_id)
    assert [charge["state"] for charge in pipeline.charges(rendered)] == ["finished"]
    assert pipeline.markdown(rendered_id) == undisturbed(rendered)
    pipeline.completed(streamed_id)
    assert [charge["state"] for charge in pipeline.charges(streamed)] == ["client_gone", "finished"]
    assert pipeline.markdown(streamed_id) == undisturbed(streamed)
