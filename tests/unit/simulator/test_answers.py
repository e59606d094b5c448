import unicodedata

import pytest

from services.simulator.answers import continuation, report, split_tokens
from services.simulator.prompts import read_prompt


@pytest.mark.parametrize("tokens", [0, 1, 2, 50, 180, 199, 200, 201, 333, 400, 900, 901, 2500])
def test_an_answer_has_exactly_the_tokens_asked_for(tokens: int) -> None:
    for subject in ("a", "b", "c", "d"):
        answer = report(subject, "Water bears", tokens)
        assert len(answer.encoded) == tokens
        assert len(split_tokens(answer.text)) == tokens


def test_an_answer_shows_every_kind_of_markdown_and_says_what_it_is() -> None:
    text = report("x", "Water bears", 900).text
    assert text.startswith("# Water bears\n")
    assert "simulate" in "".join(text.splitlines()[:3]).lower()
    for piece in ("\n## ", "\n### ", "\n1. ", "\n   - ", "\n|:--|", "\n> ", "\n```", "\n## Sources\n", "**", "`"):
        assert piece in text, piece
    assert text.count("```") % 2 == 0


def test_answers_differ_by_prompt_and_are_the_same_for_the_same() -> None:
    assert report("x", "T", 400).text == report.__wrapped__("x", "T", 400).text
    assert len({report(str(number), "T", 400).text for number in range(20)}) == 20
    assert report("x", "T", 400, 0).text != report("x", "T", 400, 1).text


def test_tokens_cut_graphemes_but_no_code_point() -> None:
    tokens = split_tokens(report("x", "T", 900).text)
    assert any(unicodedata.combining(token[0]) for token in tokens)
    assert "\u200d" in tokens


def test_a_prefix_cut_between_tokens_costs_no_token_more_and_one_cut_inside_continues_exactly() -> None:
    answer = report("x", "T", 400)
    tokens = split_tokens(answer.text)
    for cut in range(0, 400, 7):
        rest = continuation("x", "T", 400, "".join(tokens[:cut]), 0, 1)
        assert rest.text == "".join(tokens[cut:])
        assert len(rest.encoded) == 400 - cut
    for cut in range(0, len(answer.text), 11):
        assert answer.text[:cut] + continuation("x", "T", 400, answer.text[:cut], 0, 1).text == answer.text


def test_a_foreign_prefix_is_continued_with_a_new_paragraph() -> None:
    rest = continuation("x", "T", 400, "Something else.", 0, 1).text
    assert rest.startswith("\n\n")
    assert len(rest) > 500


@pytest.mark.parametrize(
    ("prompt", "title"),
    [
        ("tardigrades", "Tardigrades"),
        ("Background.\n\nTopic: how *bears* hibernate", "How bears hibernate"),
        ("[[simulator: ttft=1]]\nwater", "Water"),
        ("# <b>\x00 | `x`", "B x"),
        ("हिन्दी में जल", "हिन्दी में जल"),
        ("", "An untitled question"),
        ("word " * 40, "Word word word word word word word word word word word word word word word word…"),
    ],
)
def test_titles(prompt: str, title: str) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": prompt}]
    assert " ".join(read_prompt(messages).topic.split()) == title
