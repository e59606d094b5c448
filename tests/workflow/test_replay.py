"""Histories of every released shape of the workflow still replay: a change that breaks running reports fails here.

`python -m tests.workflow.record` records new ones, after a change that was made with `workflow.patched`.
"""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from services.orchestrator.workflows import GenerateReportWorkflow

HISTORIES = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "histories").glob("*.json"))}


def test_there_are_histories() -> None:
    assert {name.split("-", 1)[1] for name in HISTORIES} >= {
        "completed",
        "paused",
        "failed",
        "cancelled",
        "retried",
    }


@pytest.mark.parametrize("name", HISTORIES)
async def test_a_recorded_history_replays(name: str) -> None:
    history = WorkflowHistory.from_json(name, HISTORIES[name])
    await Replayer(workflows=[GenerateReportWorkflow]).replay_workflow(history)


async def test_a_change_that_breaks_running_reports_is_found() -> None:
    changed = WorkflowHistory.from_json("changed", HISTORIES["v1-completed"].replace('"llm_call"', '"another_call"'))
    with pytest.raises(Exception, match=r"[Nn]ondetermin"):
        await Replayer(workflows=[GenerateReportWorkflow]).replay_workflow(changed)
