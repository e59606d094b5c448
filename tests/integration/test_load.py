"""Two hundred reports at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.cli.stack import LocalStack
from tests.integration.pipeline import Pipeline, prompt, running

REPORTS = 200


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    stack = LocalStack(tmp_path_factory.mktemp("load"), web_ui=False)
    with running(stack) as pipeline:
        yield pipeline


@pytest.mark.timeout(300)
def test_two_hundred_reports_at_once(pipeline: Pipeline) -> None:
    texts = [prompt(f"Creature number {number} of the moss", answer_tokens=120) for number in range(REPORTS)]
    with ThreadPoolExecutor(16) as clients:
        reports = list(clients.map(pipeline.start, texts))
    assert len(set(reports)) == REPORTS
    for report_id in reports:
        pipeline.completed(report_id, seconds=200)
    for number, (text, report_id) in enumerate(zip(texts, reports, strict=True)):
        assert f"Creature number {number} of the moss" in pipeline.pdf_text(report_id)
        assert [request["state"] for request in pipeline.requests(text)] == ["finished"]
