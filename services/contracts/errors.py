"""Error types: one vocabulary for Temporal's `ApplicationError.type`, problem+json and the metrics' `type` label."""

from enum import StrEnum


class ErrorType(StrEnum):
    """Why a step failed."""

    # The model's provider, permanent: the same request would fail again, or cost money for nothing.
    AUTHENTICATION = "llm-authentication"
    PERMISSION = "llm-permission"
    QUOTA_EXHAUSTED = "llm-quota-exhausted"
    MODEL_NOT_FOUND = "llm-model-not-found"
    BAD_REQUEST = "llm-bad-request"
    CONTEXT_WINDOW = "llm-context-window"
    CONTENT_FILTER = "llm-content-filter"
    BUDGET = "llm-budget"
    REBUY_LIMIT = "llm-rebuy-limit"
    EMPTY_ANSWER = "llm-empty-answer"
    # The model's provider, retryable.
    RATE_LIMIT = "llm-rate-limit"
    PROVIDER_ERROR = "llm-provider-error"
    PROVIDER_TIMEOUT = "llm-provider-timeout"
    CONNECTION = "llm-connection"
    BAD_RESPONSE = "llm-bad-response"
    # Our own steps.
    STORAGE = "storage"
    WORKER_STOPPING = "worker-stopping"
    CORRUPT_OBJECT = "corrupt-object"
    DOCUMENT = "document"
    INVALID_INPUT = "invalid-input"
