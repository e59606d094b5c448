"""What tokens cost, and whether a report's budget allows another call. Prices are litellm's table's, in US dollars."""

import litellm

from services.contracts.errors import ErrorType
from services.contracts.llm import Budget, Usage
from services.llm_worker.errors import CallError
from services.llm_worker.register import Register

UNKNOWN_OUTPUT_LIMIT = 16_384
"""The largest answer assumed of a model whose limit litellm does not know: the largest of OpenAI's 4o family."""


def price(model: str, usage: Usage) -> float | None:
    """Return what the tokens cost; `None` where the model's price is unknown."""
    try:
        cost_in, cost_out = litellm.cost_per_token(
            model=model, prompt_tokens=usage.input_tokens, completion_tokens=usage.output_tokens
        )
    except litellm.ModelNotMappedError:
        return None
    return float(cost_in + cost_out)


def largest_output(model: str, parameters: dict[str, float | int | str | bool]) -> int:
    """Return the most tokens that an answer can have: as requested, else the model's own limit."""
    for name in ("max_tokens", "max_completion_tokens"):
        if name in parameters:
            return int(parameters[name])
    entry = litellm.model_cost.get(model) or litellm.model_cost.get(model.partition("/")[2]) or {}
    limit = entry.get("max_output_tokens") or entry.get("max_tokens")
    return int(limit) if limit else UNKNOWN_OUTPUT_LIMIT


def admit(model: str, budget: Budget, register: Register, input_tokens: int, output_tokens: int) -> None:
    """Check, before a request is sent, that it cannot pass the report's budget even with its largest answer.

    Raises:
        CallError: It could, or a cost limit is set and the model's price is unknown. The message says which.
    """
    spent = register.spent()
    if budget.max_tokens is not None:
        tokens = budget.spent_tokens + spent.input_tokens + spent.output_tokens
        if tokens + input_tokens + output_tokens > budget.max_tokens:
            raise _refused(
                f"{tokens} tokens are spent, this call may take up to {input_tokens} + {output_tokens} more, and the "
                f"report's limit is {budget.max_tokens} tokens"
            )
    if budget.max_cost_usd is not None:
        most = price(model, Usage(input_tokens, output_tokens))
        if most is None or budget.spent_cost_usd is None or spent.cost_usd is None:
            raise _refused(f"a cost limit is set and the price of {model} is unknown; limit the tokens instead")
        cost = budget.spent_cost_usd + spent.cost_usd
        if cost + most > budget.max_cost_usd:
            raise _refused(
                f"{cost:.4f} USD are spent, this call may cost up to {most:.4f} USD more, and the report's limit is "
                f"{budget.max_cost_usd:.4f} USD"
            )


def _refused(why: str) -> CallError:
    return CallError(
        ErrorType.BUDGET,
        f"The call was not sent: {why}. Raise the limit or ask for a shorter answer.",
        permanent=True,
        billed=False,
    )
