"""Two verdicts on an error of the provider: permanent or retryable, from one table.

The table goes by class name, so that reading it needs no litellm; `tests/unit/llm_worker/test_errors.py` enumerates
every exception class that litellm exports and fails on one that is missing here.

    CallError                   what this worker raises, with its verdict
    ├── permanent               the same request would fail again, or cost money for nothing
    └── retryable               another attempt may succeed; Temporal makes it, after `retry_after` or `backoff`
"""

import email.utils
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.contracts.errors import ErrorType

MAX_RETRY_AFTER = timedelta(hours=1)
"""A provider that asks for more is asked again after this; an hour late is better than a day lost to a wrong clock."""

LONGEST_BACKOFF_SECONDS = 60.0

_MAX_MESSAGE = 500


class CallError(Exception):
    """A call of the model that failed, with its verdict.

    Attributes:
        error_type: Why.
        permanent: Another attempt would not help.
        billed: The provider may have billed the request.
        retry_after: The earliest time that another attempt makes sense, where the provider said.
        resumable: What arrived may be continued; false where the answer itself came to a bad end.
    """

    def __init__(
        self,
        error_type: ErrorType,
        message: str,
        *,
        permanent: bool,
        billed: bool,
        retry_after: timedelta | None = None,
        resumable: bool = True,
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.permanent = permanent
        self.billed = billed
        self.retry_after = retry_after
        self.resumable = resumable


@dataclass(frozen=True)
class Verdict:
    """A line of the table."""

    error_type: ErrorType
    permanent: bool
    advice: str


_REQUEST = Verdict(ErrorType.BAD_REQUEST, True, "The request itself is refused; see the message.")
_OUTAGE = Verdict(ErrorType.PROVIDER_ERROR, False, "The provider has a problem; the call is tried again.")
_CONNECTION = Verdict(ErrorType.CONNECTION, False, "The provider cannot be reached; the call is tried again.")
_GARBLED = Verdict(ErrorType.BAD_RESPONSE, False, "The provider's answer is malformed; the call is tried again.")
_LIMIT = Verdict(ErrorType.RATE_LIMIT, False, "The provider limits the rate; the call is tried again later.")
_QUOTA = Verdict(
    ErrorType.QUOTA_EXHAUSTED, True, "The account at the provider is out of credit. Add credit, then retry the report."
)
_AUTHENTICATION = Verdict(
    ErrorType.AUTHENTICATION, True, "The provider refuses the key. Set LLM_API_KEY of the LLM worker, then retry."
)
_FILTER = Verdict(ErrorType.CONTENT_FILTER, True, "The provider's content filter refuses this prompt. Rephrase it.")
_MODEL = Verdict(ErrorType.MODEL_NOT_FOUND, True, "The provider does not know this model. Check LLM_MODEL.")

TABLE: dict[str, Verdict] = {
    "AuthenticationError": _AUTHENTICATION,
    "PermissionDeniedError": Verdict(
        ErrorType.PERMISSION, True, "The key may not use this model. Allow it at the provider or take another model."
    ),
    "PaymentRequiredError": _QUOTA,
    "BudgetExceededError": _QUOTA,
    "NotFoundError": _MODEL,
    "ModelNotMappedError": _MODEL,
    "LiteLLMUnknownProvider": Verdict(
        ErrorType.MODEL_NOT_FOUND, True, "litellm knows no such provider. Write LLM_MODEL as provider/model."
    ),
    "ContextWindowExceededError": Verdict(
        ErrorType.CONTEXT_WINDOW, True, "The prompt is longer than the model's context window."
    ),
    "ContentPolicyViolationError": _FILTER,
    "RejectedRequestError": _FILTER,
    "BlockedPiiEntityError": _FILTER,
    "GuardrailRaisedException": _FILTER,
    "ModifyResponseException": _FILTER,
    "SensitiveDataRouteException": _FILTER,
    "BadRequestError": _REQUEST,
    "InvalidRequestError": _REQUEST,
    "UnsupportedParamsError": _REQUEST,
    "UnprocessableEntityError": _REQUEST,
    "ImageFetchError": _REQUEST,
    "VectorStoreSearchError": _REQUEST,
    "ToolLoopMaxRoundsExceeded": _REQUEST,
    "RateLimitError": _LIMIT,
    "RouterRateLimitError": _LIMIT,
    "RouterRateLimitErrorBasic": _LIMIT,
    "Timeout": Verdict(ErrorType.PROVIDER_TIMEOUT, False, "The provider did not answer in time; it is asked again."),
    "APIConnectionError": _CONNECTION,
    "InternalServerError": _OUTAGE,
    "BadGatewayError": _OUTAGE,
    "ServiceUnavailableError": _OUTAGE,
    "MidStreamFallbackError": _OUTAGE,
    "APIError": _OUTAGE,
    "MockException": _OUTAGE,
    "OpenAIError": _OUTAGE,
    "APIResponseValidationError": _GARBLED,
    "JSONSchemaValidationError": _GARBLED,
}

# litellm turns some providers' 402, 403 and 429 into BadRequestError or APIError: there the status decides.
_BY_STATUS: dict[int, Verdict] = {
    401: _AUTHENTICATION,
    402: _QUOTA,
    403: TABLE["PermissionDeniedError"],
    408: TABLE["Timeout"],
    409: _OUTAGE,
    429: _LIMIT,
    529: _OUTAGE,
}

_QUOTA_WORDS = re.compile(
    r"insufficient_quota|exceeded your current quota|credit balance is too low|billing_hard_limit"
)
_NEVER_SENT = frozenset({"ConnectError", "ConnectTimeout", "PoolTimeout", "ClientConnectorError"})
_MAYBE_BILLED = frozenset({ErrorType.PROVIDER_TIMEOUT, ErrorType.CONNECTION, ErrorType.BAD_RESPONSE})


def classify(
    error: Exception, *, streaming: bool, cause: Exception | None = None, secrets: tuple[str, ...] = ()
) -> CallError:
    """Return the verdict on an exception of litellm or of a provider's client.

    Args:
        error: What was raised, in litellm's words where it has any.
        cause: What the client raised: a connection that was never made has sent, and cost, nothing.
        streaming: The provider had begun to answer, so that whatever happened then may have been billed.
        secrets: Strings that must not stand in the message, such as the API key.
    """
    verdict = _verdict(error)
    said = str(error).partition("Traceback (most recent call last)")[0]  # litellm appends its own to some
    message = redact(" ".join(said.split())[:_MAX_MESSAGE], secrets)
    return CallError(
        verdict.error_type,
        f"{verdict.advice} The provider said: {message}",
        permanent=verdict.permanent,
        billed=streaming or (verdict.error_type in _MAYBE_BILLED and not _never_sent(cause or error)),
        retry_after=None if verdict.permanent else retry_after(_headers(error)),
    )


def unknown_provider(error: Exception) -> CallError:
    """Return the verdict on a model's name in which litellm finds no provider."""
    verdict = TABLE["LiteLLMUnknownProvider"]
    return CallError(verdict.error_type, f"{verdict.advice} {str(error)[:200]}", permanent=True, billed=False)


def _verdict(error: Exception) -> Verdict:
    if _QUOTA_WORDS.search(str(error)):
        return _QUOTA
    named = next((TABLE[cls.__name__] for cls in type(error).__mro__ if cls.__name__ in TABLE), _OUTAGE)
    status = getattr(error, "status_code", None)
    if named in (_REQUEST, _OUTAGE) and isinstance(status, int):
        return _BY_STATUS.get(status, _OUTAGE if status >= 500 else _REQUEST)
    return named


def _never_sent(error: BaseException | None) -> bool:
    while error is not None:
        if type(error).__name__ in _NEVER_SENT:
            return True
        error = error.__cause__ or error.__context__
    return False


def _headers(error: Exception) -> Mapping[str, str]:
    response = getattr(error, "response", None)
    headers = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None)
    return headers if isinstance(headers, Mapping) else {}


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long the provider asks to wait: `retry-after-ms`, or `Retry-After` in seconds or as an HTTP date."""
    lower = {name.lower(): value for name, value in headers.items()}
    wait: timedelta | None = None
    try:
        if "retry-after-ms" in lower:
            wait = timedelta(milliseconds=float(lower["retry-after-ms"]))
        elif "retry-after" in lower:
            value = lower["retry-after"]
            if value.replace(".", "", 1).isdigit():
                wait = timedelta(seconds=float(value))
            else:
                wait = email.utils.parsedate_to_datetime(value) - datetime.now(UTC)
    except (ValueError, TypeError, OverflowError):
        return None  # a header that cannot be read is as good as none
    return None if wait is None else max(timedelta(0), min(wait, MAX_RETRY_AFTER))


def backoff(attempt: int) -> timedelta:
    """Return how long to wait after an attempt that failed: 1 s, doubled each time, at most a minute; up to half less.

    How much less is left to chance: calls that one outage has failed together would come back together otherwise.

    Args:
        attempt: Temporal's number of the attempt, from 1.
    """
    longest = min(2.0 ** min(attempt - 1, 10), LONGEST_BACKOFF_SECONDS)
    return timedelta(seconds=longest * random.uniform(0.5, 1))  # noqa: S311 - no secret hangs on it


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """Return the text without the secrets: providers quote the key in their errors."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "***")
    return re.sub(r"\b(sk|key|pk)-[\w*-]{8,}", "***", text)
