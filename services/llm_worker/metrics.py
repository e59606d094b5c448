"""What the LLM worker counts. The only unbounded label is the model, which people choose from a provider's list."""

from prometheus_client import Counter, Histogram

from services.llm_worker.register import Attempt, AttemptState
from services.runtime.metrics import SECONDS_BUCKETS

CALLS = Counter("tardigrade_llm_calls_total", "Calls of the model that ended, by outcome.", ["model", "outcome"])
TOKENS = Counter("tardigrade_llm_tokens_total", "Tokens billed, by direction (input, output).", ["model", "direction"])
WASTED = Counter("tardigrade_llm_wasted_tokens_total", "Tokens paid for and thrown away.", ["model"])
SAVED = Counter("tardigrade_llm_saved_tokens_total", "Tokens that adopting or resuming did not buy again.", ["model"])
COST = Counter("tardigrade_llm_cost_usd_total", "US dollars billed, where the price is known.", ["model"])
SECONDS = Histogram(
    "tardigrade_llm_call_seconds", "Seconds from start to end of a call.", ["model"], buckets=SECONDS_BUCKETS
)
ERRORS = Counter("tardigrade_llm_errors_total", "Attempts that failed, by error type.", ["model", "type"])
UNANSWERED = Counter(
    "tardigrade_llm_unanswered_intents_total",
    "Attempts that were found entered in a register without an answer: their worker died.",
    ["model"],
)


def booked(model: str, attempt: Attempt) -> None:
    """Count an attempt whose bill is known, or estimated for good."""
    if attempt.state is AttemptState.LOST:
        UNANSWERED.labels(model).inc()
    if attempt.billed:
        TOKENS.labels(model, "input").inc(attempt.input_tokens)
        TOKENS.labels(model, "output").inc(attempt.output_tokens)
        COST.labels(model).inc(attempt.cost_usd or 0)
