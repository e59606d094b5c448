"""What `llm_call` tells Temporal when a call fails."""

import dataclasses
from datetime import timedelta
from typing import Any, cast

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from services.contracts.errors import ErrorType
from services.contracts.llm import LLMCallInput, Message
from services.llm_worker.activities import LLMActivities
from services.llm_worker.errors import CallError
from services.llm_worker.settings import LLMSettings
from services.runtime.object_store import ObjectStoreError

CALL = LLMCallInput(call_id="research", messages=[Message("user", "x")], model="openai/gpt-4o")


class Failing:
    """A ledger whose calls fail, and the models that it would have asked."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def call(self, *_arguments: object) -> None:
        raise self._error

    def provider(self, _call: LLMCallInput) -> None:
        return None


async def failure(error: Exception, *, attempt: int) -> ApplicationError:
    failing: Any = Failing(error)
    environment = ActivityEnvironment()
    environment.info = dataclasses.replace(environment.info, attempt=attempt)
    with pytest.raises(ApplicationError) as raised:
        await environment.run(LLMActivities(LLMSettings(), failing, failing).llm_call, CALL)
    return raised.value


@pytest.mark.parametrize(
    "error",
    [
        CallError(ErrorType.PROVIDER_ERROR, "overloaded", permanent=False, billed=False),
        CallError(ErrorType.RATE_LIMIT, "now", permanent=False, billed=False, retry_after=timedelta(0)),
        ObjectStoreError("away"),
    ],
)
async def test_a_failure_that_lasts_is_met_with_patience(error: Exception) -> None:
    first = await failure(error, attempt=1)
    late = await failure(error, attempt=50)
    assert not first.non_retryable
    assert timedelta(seconds=0.5) <= cast("timedelta", first.next_retry_delay) <= timedelta(seconds=1)
    assert timedelta(seconds=30) <= cast("timedelta", late.next_retry_delay) <= timedelta(seconds=60)


async def test_the_provider_may_ask_for_more_or_less() -> None:
    asked = timedelta(seconds=400)
    error = CallError(ErrorType.RATE_LIMIT, "later", permanent=False, billed=False, retry_after=asked)
    assert (await failure(error, attempt=50)).next_retry_delay == asked


async def test_a_permanent_failure_is_not_tried_again() -> None:
    error = CallError(ErrorType.AUTHENTICATION, "wrong key", permanent=True, billed=False)
    told = await failure(error, attempt=1)
    assert (told.non_retryable, told.type, told.message) == (True, ErrorType.AUTHENTICATION, "wrong key")
