"""The error table: every exception class that litellm exports has a verdict."""

import inspect
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import litellm
import litellm.exceptions
import pytest

from services.contracts.errors import ErrorType
from services.llm_worker import errors
from services.llm_worker.errors import MAX_RETRY_AFTER, TABLE, backoff, classify, redact, retry_after

# Exported by litellm, but not its own: the standard library's and a name taken from elsewhere.
NOT_LITELLMS = {"ZoneInfoNotFoundError"}


def exported() -> set[str]:
    modules = (litellm, litellm.exceptions)
    return {
        name
        for module in modules
        for name, value in inspect.getmembers(module, inspect.isclass)
        if issubclass(value, Exception) and name not in NOT_LITELLMS
    }


def test_the_table_covers_every_exception_of_litellm() -> None:
    assert len(exported()) > 25
    assert exported() == set(TABLE), "litellm's exceptions have changed: give the new ones a verdict"


def response(status: int, headers: dict[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, headers=headers, request=httpx.Request("POST", "http://provider/v1"))


PERMANENT = {
    litellm.exceptions.AuthenticationError: ErrorType.AUTHENTICATION,
    litellm.exceptions.NotFoundError: ErrorType.MODEL_NOT_FOUND,
    litellm.exceptions.BadRequestError: ErrorType.BAD_REQUEST,
    litellm.exceptions.ContextWindowExceededError: ErrorType.CONTEXT_WINDOW,
    litellm.exceptions.ContentPolicyViolationError: ErrorType.CONTENT_FILTER,
}
RETRYABLE = {
    litellm.exceptions.RateLimitError: ErrorType.RATE_LIMIT,
    litellm.exceptions.Timeout: ErrorType.PROVIDER_TIMEOUT,
    litellm.exceptions.InternalServerError: ErrorType.PROVIDER_ERROR,
    litellm.exceptions.ServiceUnavailableError: ErrorType.PROVIDER_ERROR,
}


@pytest.mark.parametrize(("cls", "error_type"), [*PERMANENT.items(), *RETRYABLE.items()])
def test_a_class_has_its_verdict(cls: type[Exception], error_type: ErrorType) -> None:
    error = classify(cls(message="no", model="m", llm_provider="p"), streaming=False)  # type: ignore[call-arg]
    assert (error.error_type, error.permanent) == (error_type, cls in PERMANENT)
    assert str(error).endswith("no")


def test_an_exhausted_quota_is_permanent_although_litellm_calls_it_a_rate_limit() -> None:
    error = litellm.exceptions.RateLimitError(
        "You exceeded your current quota (insufficient_quota)", "openai", "gpt-4o"
    )
    verdict = classify(error, streaming=False)
    assert (verdict.error_type, verdict.permanent) == (ErrorType.QUOTA_EXHAUSTED, True)
    assert "Add credit" in str(verdict)


@pytest.mark.parametrize(
    ("status", "error_type", "permanent"),
    [
        (402, ErrorType.QUOTA_EXHAUSTED, True),
        (403, ErrorType.PERMISSION, True),
        (418, ErrorType.BAD_REQUEST, True),
        (429, ErrorType.RATE_LIMIT, False),
        (529, ErrorType.PROVIDER_ERROR, False),
    ],
)
def test_the_status_decides_where_litellm_has_no_class(status: int, error_type: ErrorType, permanent: bool) -> None:
    error = classify(litellm.exceptions.APIError(status, "no", "p", "m"), streaming=False)
    assert (error.error_type, error.permanent) == (error_type, permanent)


def test_a_bad_request_that_is_really_a_rate_limit_is_retried() -> None:
    error = litellm.exceptions.BadRequestError("Resource exhausted", "gemini-x", "gemini")
    error.status_code = 429  # type: ignore[assignment]
    assert not classify(error, streaming=False).permanent


@pytest.mark.parametrize(
    ("error", "cause", "streaming", "billed"),
    [
        (litellm.exceptions.RateLimitError("no", "p", "m"), None, False, False),
        (litellm.exceptions.Timeout("no", "m", "p"), None, False, True),
        (litellm.exceptions.APIConnectionError("no", "p", "m"), httpx.ReadError("reset"), False, True),
        (litellm.exceptions.APIConnectionError("no", "p", "m"), httpx.ConnectError("refused"), False, False),
        (litellm.exceptions.InternalServerError("no", "p", "m"), None, True, True),
    ],
)
def test_what_may_have_been_billed(error: Exception, cause: Exception | None, streaming: bool, billed: bool) -> None:
    assert classify(error, cause=cause, streaming=streaming).billed is billed


def test_retry_after_becomes_the_next_delay() -> None:
    error = litellm.exceptions.RateLimitError("no", "p", "m", response=response(429, {"retry-after": "17"}))
    assert classify(error, streaming=False).retry_after == timedelta(seconds=17)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "1.5"}, timedelta(seconds=1.5)),
        ({"retry-after-ms": "250", "retry-after": "9"}, timedelta(milliseconds=250)),
        ({"retry-after": "999999"}, MAX_RETRY_AFTER),
        ({"retry-after": format_datetime(datetime(2001, 1, 1, tzinfo=UTC), usegmt=True)}, timedelta(0)),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_all_its_forms(headers: dict[str, str], wait: timedelta | None) -> None:
    assert retry_after(headers) == wait


def test_backoff_doubles_up_to_a_minute_and_scatters() -> None:
    for attempt, longest in ((1, 1), (2, 2), (6, 32), (7, 60), (100_000, 60)):
        waits = [backoff(attempt).total_seconds() for _ in range(200)]
        assert longest / 2 <= min(waits) < max(waits) <= longest
        assert len(set(waits)) > 100


def test_a_key_that_the_provider_quotes_is_taken_out() -> None:
    assert redact("Incorrect key: very-secret-1", ("very-secret-1",)) == "Incorrect key: ***"
    assert "abcdefgh" not in redact("Incorrect API key provided: sk-abcdefgh****1234", ())
    assert redact("nothing to hide", ("",)) == "nothing to hide"


def test_every_verdict_tells_what_to_do() -> None:
    for verdict in TABLE.values():
        assert verdict.advice.endswith(".")
        assert len(verdict.advice) > 20
    assert errors.TABLE["AuthenticationError"].advice.count("LLM_API_KEY") == 1
