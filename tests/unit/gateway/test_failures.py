from temporalio.api.enums.v1 import TimeoutType
from temporalio.api.failure.v1 import ActivityFailureInfo, ApplicationFailureInfo, Failure, TimeoutFailureInfo

from services.gateway.failures import MAX_MESSAGE, explain


def application(kind: str, message: str, cause: Failure | None = None) -> Failure:
    return Failure(message=message, application_failure_info=ApplicationFailureInfo(type=kind), cause=cause)


def wrapped(cause: Failure) -> Failure:
    return Failure(message="Activity task failed", activity_failure_info=ActivityFailureInfo(), cause=cause)


def test_the_workers_error_is_shown_not_the_wrapper_and_not_its_own_cause() -> None:
    error = application("llm-authentication", "the key is wrong", application("AuthenticationError", "raw"))
    told = explain(wrapped(error))
    assert (told.type, told.message) == ("llm-authentication", "the key is wrong")


def test_a_killed_worker_is_told_in_words() -> None:
    timeout = TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_HEARTBEAT)
    told = explain(wrapped(Failure(message="activity Heartbeat timeout", timeout_failure_info=timeout)))
    assert told.type == "heartbeat-timeout"
    assert "killed" in told.message


def test_a_step_that_ran_out_of_time_shows_what_kept_it_from_succeeding() -> None:
    timeout = TimeoutFailureInfo(timeout_type=TimeoutType.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)
    out_of_time = Failure(message="late", timeout_failure_info=timeout, cause=application("storage", "disk full"))
    assert explain(wrapped(out_of_time)).type == "storage"


def test_a_message_is_one_bounded_line() -> None:
    told = explain(application("storage", "a\nb\x1b[31m" + "x" * 10_000))
    assert told.message.startswith("a b [31mxx")
    assert len(told.message) == MAX_MESSAGE
