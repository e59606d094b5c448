"""Budgets: a call that could pass its report's limit is refused before it is sent."""

import pytest

from services.contracts.errors import ErrorType
from services.contracts.llm import Budget, Usage
from services.llm_worker import prices
from services.llm_worker.errors import CallError
from services.llm_worker.register import Attempt, Register
from services.llm_worker.titles import title_of

MODEL = "openai/gpt-4o"
UNKNOWN = "openai/somebodys-own"


def test_a_price_is_litellms_or_unknown() -> None:
    assert prices.price(MODEL, Usage(1_000_000, 0)) == pytest.approx(2.5)
    assert prices.price(UNKNOWN, Usage(1, 1)) is None


@pytest.mark.parametrize(
    ("budget", "register", "refusal"),
    [
        (Budget(), Register(), None),
        (Budget(max_tokens=1100), Register(), None),
        (Budget(max_tokens=1099), Register(), "1099 tokens"),
        (Budget(max_tokens=1100, spent_tokens=1), Register(), "1 tokens are spent"),
        (Budget(max_tokens=1500), Register(attempts=[Attempt("a", input_tokens=400, output_tokens=1)]), "401 tokens"),
        (Budget(max_tokens=1500), Register(attempts=[Attempt("a", billed=False, input_tokens=401)]), None),
        (Budget(max_cost_usd=0.0103), Register(), None),
        (Budget(max_cost_usd=0.0102), Register(), "0.0102 USD"),
        (Budget(max_cost_usd=0.02, spent_cost_usd=0.01), Register(), "0.0100 USD are spent"),
    ],
)
def test_a_call_is_admitted_only_within_the_budget(budget: Budget, register: Register, refusal: str | None) -> None:
    # 100 tokens in and at most 1,000 out cost 0.00025 + 0.01 USD
    if refusal is None:
        prices.admit(MODEL, budget, register, 100, 1000)
        return
    with pytest.raises(CallError, match=refusal) as raised:
        prices.admit(MODEL, budget, register, 100, 1000)
    assert (raised.value.error_type, raised.value.permanent, raised.value.billed) == (ErrorType.BUDGET, True, False)


def test_a_cost_limit_needs_a_known_price() -> None:
    with pytest.raises(CallError, match="price of openai/somebodys-own is unknown"):
        prices.admit(UNKNOWN, Budget(max_cost_usd=1), Register(), 1, 1)
    prices.admit(UNKNOWN, Budget(max_tokens=10), Register(), 1, 1)


def test_the_largest_answer_is_as_requested_or_the_models_limit() -> None:
    assert prices.largest_output(MODEL, {"max_tokens": 77}) == 77
    assert prices.largest_output(MODEL, {}) == 16_384
    assert prices.largest_output(UNKNOWN, {}) == prices.UNKNOWN_OUTPUT_LIMIT


@pytest.mark.parametrize(
    ("markdown", "title"),
    [
        ("# How *bears* [sleep](x)\n\ntext", "How bears sleep"),
        ("\n\nNo heading here\nmore", "No heading here"),
        ("text\n\n## Second `level` ##\n", "Second level"),
        ("", ""),
        ("# " + "x" * 200, "x" * 119 + "…"),
    ],
)
def test_the_title_is_the_first_heading(markdown: str, title: str) -> None:
    assert title_of(markdown) == title
