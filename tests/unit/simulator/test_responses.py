from collections.abc import Iterable
from itertools import islice
from typing import Any

import httpx
import openai
import pytest
from openai.types.responses import Response

from tests.unit.simulator.conftest import Simulator


def text_of(events: Iterable[Any]) -> str:
    return "".join(event.delta for event in events if event.type == "response.output_text.delta")


def begin(client: openai.OpenAI, events: int = 1) -> tuple[str, list[Any]]:
    """Submit in the background, read a few events, go away."""
    stream = client.responses.create(model="gpt-4o", input="Tardigrades", background=True, store=True, stream=True)
    with stream:
        seen: list[Any] = list(islice(stream, events))
    return seen[0].response.id, seen


def final(client: openai.OpenAI, identifier: str) -> Response:
    events = list(client.responses.retrieve(identifier, stream=True))
    assert events[-1].type in ("response.completed", "response.incomplete", "response.failed")
    return client.responses.retrieve(identifier)


def test_a_background_response_survives_its_client_and_resumes_at_every_cursor(
    simulator: Simulator, client: openai.OpenAI
) -> None:
    simulator.set(answer_tokens=200, tokens_per_second=1000)
    identifier, seen = begin(client, events=20)
    assert [event.sequence_number for event in seen] == list(range(20))
    rest = list(client.responses.retrieve(identifier, stream=True, starting_after=19))
    assert [event.sequence_number for event in rest] == list(range(20, 20 + len(rest)))
    last = rest[-1]
    assert last.type == "response.completed"
    text = text_of([*seen, *rest])
    assert last.response.output_text == text
    assert last.response.usage is not None
    assert last.response.usage.output_tokens == 200
    everything = list(client.responses.retrieve(identifier, stream=True))
    for cursor in (0, 3, 4, 5, 100, len(everything) - 2, len(everything) - 1):
        resumed = list(client.responses.retrieve(identifier, stream=True, starting_after=cursor))
        assert resumed == everything[cursor + 1 :]
    bill = simulator.bill()
    assert (bill["requests"], bill["output_tokens"]) == (1, 200)
    assert bill["requests_log"][0]["state"] == "finished"


def test_it_has_the_text_of_a_chat_completion(simulator: Simulator, client: openai.OpenAI) -> None:
    response = client.responses.create(model="gpt-4o", input=[{"role": "user", "content": "Tardigrades"}])
    assert response.output_text == simulator.chat().json()["choices"][0]["message"]["content"]
    assert client.responses.retrieve(response.id).output_text == response.output_text


def test_polling_a_background_response(simulator: Simulator, client: openai.OpenAI) -> None:
    simulator.set(tokens_per_second=3000)
    response = client.responses.create(model="gpt-4o", input="x", background=True)
    assert response.status == "queued"
    while (response := client.responses.retrieve(response.id)).status != "completed":
        assert response.status in ("queued", "in_progress")
    assert response.output_text.startswith("# X")
    with pytest.raises(openai.BadRequestError, match="stream=true"):
        client.responses.retrieve(response.id, stream=True)


def test_a_foreground_stream_ends_with_its_client(simulator: Simulator, client: openai.OpenAI) -> None:
    simulator.set(tokens_per_second=50)
    with client.responses.create(model="gpt-4o", input="x", stream=True) as stream:
        identifier = next(iter(stream)).response.id  # type: ignore[union-attr]  # the first event is `created`
    entry = simulator.log_when(lambda entry: entry["state"] == "client_gone")
    assert entry["output_tokens"] < 900
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(identifier)


def test_cancelling_stops_the_bill(simulator: Simulator, client: openai.OpenAI) -> None:
    simulator.set(tokens_per_second=50)
    identifier, _ = begin(client)
    assert simulator.bill()["in_flight"] == 1
    assert client.responses.cancel(identifier).status == "cancelled"
    assert client.responses.cancel(identifier).status == "cancelled"
    bill = simulator.bill()
    assert (bill["in_flight"], bill["requests_log"][0]["state"]) == (0, "cancelled")
    assert bill["output_tokens"] < 900
    client.responses.delete(identifier)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(identifier)


def test_a_response_that_is_gone_and_a_cursor_that_is_refused(simulator: Simulator, client: openai.OpenAI) -> None:
    identifier, _ = begin(client)
    simulator.set(fault="response-gone:first=1,cursor-refused:first=1")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(identifier)
    with pytest.raises(openai.BadRequestError, match="no longer be streamed"):
        client.responses.retrieve(identifier, stream=True, starting_after=1)
    assert final(client, identifier).status == "completed"
    directive = "x [[simulator: fault=response-gone]]"
    gone = client.responses.create(model="gpt-4o", input=directive, background=True)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(gone.id)


@pytest.mark.parametrize(
    ("fault", "status", "tokens"),
    [
        ("incomplete:after=9", "incomplete", 9),
        ("content-filter:after=9", "incomplete", 9),
        ("failed:after=9", "failed", 9),
        ("empty", "completed", 0),
    ],
)
def test_a_response_that_ends_otherwise(
    simulator: Simulator, client: openai.OpenAI, fault: str, status: str, tokens: int
) -> None:
    simulator.set(fault=fault)
    identifier, _ = begin(client)
    response = final(client, identifier)
    assert response.status == status
    assert (response.error is not None) == (status == "failed")
    assert response.usage is not None
    assert response.usage.output_tokens == tokens == simulator.bill()["output_tokens"]


@pytest.mark.parametrize(("fault", "error"), [("cut", httpx.RemoteProtocolError), ("malformed", ValueError)])
def test_a_cut_stream_leaves_the_background_response_whole(
    simulator: Simulator, client: openai.OpenAI, fault: str, error: type[Exception]
) -> None:
    simulator.set(fault=f"{fault}:first=1:after=30", tokens_per_second=2000, answer_tokens=200)
    stream = client.responses.create(model="gpt-4o", input="x", background=True, store=True, stream=True)
    seen: list[Any] = []
    with pytest.raises(error):
        seen.extend(stream)
    rest = client.responses.retrieve(seen_id(simulator), stream=True)
    assert text_of(rest) == simulator.chat("x").json()["choices"][0]["message"]["content"]
    assert simulator.bill()["output_tokens"] == 400


def seen_id(simulator: Simulator) -> str:
    identifier: str = simulator.bill()["requests_log"][-1]["id"]
    return identifier
