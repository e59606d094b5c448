"""Temporal's failures in the service's own words."""

from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import Failure as TemporalFailure

from services.gateway.resource import Failure

MAX_MESSAGE = 500

_TIMEOUTS = {
    TimeoutType.TIMEOUT_TYPE_HEARTBEAT: Failure(
        type="heartbeat-timeout",
        message="The worker that ran this step was killed or lost its connection; another one takes the step over.",
    ),
    TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE: Failure(
        type="start-to-close-timeout", message="One attempt took longer than it may; the step is tried again."
    ),
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_START: Failure(
        type="schedule-to-start-timeout", message="No worker took the step in time. Are its workers running?"
    ),
    TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE: Failure(
        type="schedule-to-close-timeout",
        message="The step did not succeed within the days it has. Mend its cause, then retry the report.",
    ),
}


def explain(failure: TemporalFailure) -> Failure:
    """Return what a person needs of a failure: the outermost error that a worker raised, else the timeout.

    Temporal wraps an activity's error (activity failure -> application failure -> Python's own cause); the wrapper
    says nothing and the Python cause is for a log.
    """
    chain = [failure]
    while chain[-1].HasField("cause"):
        chain.append(chain[-1].cause)
    for link in chain:
        if link.HasField("application_failure_info"):
            return Failure(type=link.application_failure_info.type or "unknown", message=_clean(link.message))
    for link in chain:
        if link.HasField("timeout_failure_info"):
            known = _TIMEOUTS.get(link.timeout_failure_info.timeout_type)
            return known or Failure(type="timeout", message=_clean(link.message))
    return Failure(type="unknown", message=_clean(failure.message))


def _clean(message: str) -> str:
    """Return a message as one line of bounded length: an error's text may quote what a stranger wrote."""
    line = " ".join("".join(character if character.isprintable() else " " for character in message).split())
    return line if len(line) <= MAX_MESSAGE else line[: MAX_MESSAGE - 1] + "…"
