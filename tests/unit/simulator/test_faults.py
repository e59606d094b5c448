import pytest

from services.simulator.faults import CREATIONS, Faults
from services.simulator.options import Options


def struck(faults: Faults, times: int) -> list[str | None]:
    return [fault.kind if (fault := faults.take(CREATIONS)) else None for _ in range(times)]


def test_faults_strike_in_order_for_the_first_requests() -> None:
    assert struck(Faults("rate-limit:first=2,cut:first=1", 0), 5) == ["rate-limit", "rate-limit", "cut", None, None]


def test_a_probability_is_repeatable_by_seed() -> None:
    drawn = struck(Faults("server-error:p=0.2", 7), 500)
    assert drawn == struck(Faults("server-error:p=0.2", 7), 500)
    assert drawn != struck(Faults("server-error:p=0.2", 8), 500)
    assert 60 < drawn.count("server-error") < 140


def test_a_prompts_own_faults_are_counted_by_prompt() -> None:
    faults = Faults("server-error", 0)
    kinds = [faults.take(CREATIONS, prompt, "quota:first=1") for prompt in ("a", "a", "b")]
    assert [fault.kind if fault else None for fault in kinds] == ["quota", None, "quota"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"fault": "explode"}, "explode"),
        ({"fault": "cut:often=1"}, "often"),
        ({"fault": "cut:first=x"}, "first"),
        ({"answer-tokens": "many"}, "answer_tokens"),
        ({"ttft": -1}, "ttft"),
        ({"ttft": "nan"}, "ttft"),
        ({"prefix": "maybe"}, "prefix"),
        ({"colour": "red"}, "colour"),
        ({"seed": True}, "seed"),
    ],
)
def test_an_option_that_does_not_fit_is_named(options: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Options().changed(options)
