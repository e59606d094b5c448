"""Refusals in the shape in which OpenAI's API sends them."""

from starlette.requests import Request
from starlette.responses import JSONResponse

from services.simulator.faults import Fault


class ProviderError(Exception):
    """A refusal; nothing is billed for it.

    Args:
        status: HTTP status.
        message: What happened, for people.
        kind: OpenAI's error type.
        code: OpenAI's error code, where there is one.
        param: The request's field that is at fault.
        retry_after: Seconds for the `Retry-After` header.
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.body = {"error": {"message": message, "type": kind, "param": param, "code": code}}

    def response(self) -> JSONResponse:
        """Return it as an HTTP response."""
        headers = {} if self.retry_after is None else {"retry-after": f"{self.retry_after:g}"}
        return JSONResponse(self.body, status_code=self.status, headers=headers)


async def provider_error_response(_request: Request, error: Exception) -> JSONResponse:
    """Answer a request that was refused."""
    if not isinstance(error, ProviderError):
        raise error
    return error.response()


def wrong_key() -> ProviderError:
    """Return the refusal of an API key, which it does not repeat."""
    return ProviderError(401, "Incorrect API key provided.", code="invalid_api_key")


def context_too_long(limit: int, tokens: int) -> ProviderError:
    """Return the refusal of a request that the model cannot hold."""
    message = f"This model's maximum context length is {limit} tokens, but your messages resulted in {tokens} tokens."
    return ProviderError(400, message, code="context_length_exceeded", param="messages")


def refusal(fault: Fault) -> ProviderError:
    """Return what a fault that refuses a request says."""
    match fault.kind:
        case "rate-limit":
            text = "Rate limit reached for requests (simulated)."
            return ProviderError(429, text, "requests", "rate_limit_exceeded", retry_after=fault.retry_after)
        case "quota":
            text = "You exceeded your current quota, please check your plan and billing details."
            return ProviderError(429, text, "insufficient_quota", "insufficient_quota")
        case "overloaded":
            text = "The engine is currently overloaded, please try again later."
            return ProviderError(503, text, "server_error", retry_after=fault.retry_after)
        case "auth":
            return wrong_key()
        case "bad-request":
            return ProviderError(400, "Invalid value for 'temperature' (simulated).", param="temperature")
        case "context-length":
            return context_too_long(128, 129)
        case _:
            return ProviderError(500, "The server had an error while processing your request.", "server_error")
