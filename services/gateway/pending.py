"""The step that runs or waits for its next attempt, as Temporal's description of the workflow has it."""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.converter import DataConverter

from services.gateway import failures
from services.gateway.resource import Failure


@dataclass(frozen=True)
class PendingStep:
    """A step that has not ended.

    Attributes:
        activity_type: `llm_call` or `create_pdf`.
        picked_up: A worker has taken it at least once.
        attempt: The attempt that runs or is waited for.
        last_failure: Why the attempt before failed.
        tokens: Parts of the answer that the running attempt has received.
        pages: Pages that the running attempt has laid out.
    """

    activity_type: str
    picked_up: bool
    attempt: int = 1
    last_failure: Failure | None = None
    tokens: int | None = None
    pages: int | None = None


async def step(activities: Sequence[PendingActivityInfo], converter: DataConverter) -> PendingStep | None:
    """Return the step that is under way, `None` between two steps and in a pause."""
    if not activities:
        return None
    activity = activities[0]
    progress: object = None
    if activity.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED and activity.HasField("heartbeat_details"):
        # Decoded as plain JSON: a worker of another version may report more, or something else.
        progress = (await converter.decode(activity.heartbeat_details.payloads))[0]
    return PendingStep(
        activity_type=activity.activity_type.name,
        picked_up=activity.attempt > 1 or activity.HasField("last_started_time"),
        attempt=max(activity.attempt, 1),
        last_failure=failures.explain(activity.last_failure) if activity.HasField("last_failure") else None,
        tokens=_count(progress, "tokens"),
        pages=_count(progress, "pages"),
    )


def _count(progress: object, name: str) -> int | None:
    value = progress.get(name) if isinstance(progress, dict) else None
    return value if isinstance(value, int) else None
