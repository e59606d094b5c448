import hashlib
import json
import os
import subprocess
import sys

import httpx
import openai
import pytest

from tests.unit.simulator.conftest import Simulator


def test_a_stream_has_a_chunk_a_token_and_is_the_text_of_the_whole_answer(
    simulator: Simulator, client: openai.OpenAI
) -> None:
    simulator.set(answer_tokens=500, tokens_per_second=5000)
    whole = simulator.chat().json()
    chunks = list(
        client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "Tardigrades"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices and chunk.choices[0].delta.content]
    assert len(pieces) == 500
    assert "".join(pieces) == whole["choices"][0]["message"]["content"]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.completion_tokens, chunks[-1].usage.prompt_tokens) == (500, 2)
    bill = simulator.bill()
    assert (bill["requests"], bill["output_tokens"], bill["input_tokens"], bill["in_flight"]) == (2, 1000, 4, 0)
    assert bill["by_prompt"][hashlib.sha256(b"Tardigrades").hexdigest()]["requests"] == 2
    assert hashlib.sha256(b"sk-test").hexdigest() in bill["keys"]
    assert "sk-test" not in json.dumps(bill)


def test_a_limit_cuts_the_answer_off(simulator: Simulator) -> None:
    for response in (simulator.chat(max_tokens=10), simulator.chat(max_completion_tokens=10)):
        answer = response.json()
        assert (answer["choices"][0]["finish_reason"], answer["usage"]["completion_tokens"]) == ("length", 10)


def test_a_client_that_leaves_is_billed_what_was_produced(simulator: Simulator) -> None:
    simulator.set(tokens_per_second=50)
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with simulator.http.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()  # kept: the connection closes with it
        next(lines)
        running = simulator.bill()
    assert (running["in_flight"], running["requests_log"][-1]["state"]) == (1, "running")
    entry = simulator.log_when(lambda entry: entry["state"] == "client_gone")
    assert 0 < entry["output_tokens"] < 900
    assert entry["closed_at"] >= entry["started_at"]
    assert simulator.bill()["output_tokens"] == entry["output_tokens"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", ["hang", "stall"])
def test_a_provider_that_hangs_bills_until_the_client_leaves(simulator: Simulator, fault: str, stream: bool) -> None:
    simulator.set(fault=f"{fault}:after=7")
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "x"}]}
    with pytest.raises(httpx.ReadTimeout):
        simulator.http.post("/v1/chat/completions", json=body, timeout=0.3)
    entry = simulator.log_when(lambda entry: entry["state"] == "client_gone")
    assert (entry["fault"], entry["output_tokens"]) == (fault, 0 if fault == "hang" else 7)


@pytest.mark.parametrize(
    ("fault", "error", "status", "code"),
    [
        ("rate-limit:retry-after=3", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("quota", openai.RateLimitError, 429, "insufficient_quota"),
        ("server-error", openai.InternalServerError, 500, None),
        ("overloaded:retry-after=3", openai.InternalServerError, 503, None),
        ("auth", openai.AuthenticationError, 401, "invalid_api_key"),
        ("bad-request", openai.BadRequestError, 400, None),
        ("context-length", openai.BadRequestError, 400, "context_length_exceeded"),
    ],
)
def test_a_refusal_has_openais_shape_and_is_not_billed(
    simulator: Simulator, client: openai.OpenAI, fault: str, error: type[openai.APIStatusError], status: int, code: str
) -> None:
    simulator.set(fault=f"{fault}:first=1")
    with pytest.raises(error) as raised:
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert raised.value.response.headers.get("retry-after") == ("3" if "after" in fault else None)
    assert simulator.chat("x").status_code == 200
    bill = simulator.bill()
    assert (bill["requests"], bill["refused"]) == (1, 1)
    assert bill["requests_log"][0]["state"] == "refused"


def test_an_unknown_model_and_a_request_that_is_none_are_refused(simulator: Simulator) -> None:
    assert simulator.chat(model="no-such-model").json()["error"]["code"] == "model_not_found"
    assert simulator.chat(messages=[]).status_code == 400
    assert simulator.http.post("/v1/chat/completions", content=b"{").status_code == 400
    assert simulator.http.get("/v1/nothing").json()["error"]["type"] == "invalid_request_error"
    assert simulator.bill()["requests"] == 0


@pytest.mark.parametrize(("fault", "error"), [("cut", httpx.RemoteProtocolError), ("malformed", ValueError)])
def test_a_broken_stream(simulator: Simulator, fault: str, error: type[Exception]) -> None:
    def read(*, stream: bool) -> list[object]:
        response = simulator.chat(stream=stream)
        if not stream:
            return [response.json()]
        lines = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
        return [json.loads(line) for line in lines if line != "[DONE]"]

    simulator.set(fault=f"{fault}:after=20", tokens_per_second=1000)
    for stream in (True, False):
        with pytest.raises(error):
            read(stream=stream)
    bill = simulator.bill()
    assert [entry["state"] for entry in bill["requests_log"]] == ["failed", "failed"]
    assert bill["output_tokens"] == 40


def test_an_error_in_the_stream_is_raised_by_the_client(simulator: Simulator, client: openai.OpenAI) -> None:
    simulator.set(fault="stream-error")
    stream = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}], stream=True)
    with pytest.raises(openai.APIError, match="had an error"):
        list(stream)


@pytest.mark.parametrize(
    ("fault", "finish_reason", "tokens"),
    [("empty", "stop", 0), ("length:after=9", "length", 9), ("content-filter", "content_filter", 450)],
)
def test_an_answer_that_ends_otherwise(simulator: Simulator, fault: str, finish_reason: str, tokens: int) -> None:
    simulator.set(fault=fault)
    answer = simulator.chat().json()
    assert answer["choices"][0]["finish_reason"] == finish_reason
    assert answer["usage"]["completion_tokens"] == tokens


def test_an_answer_without_usage(simulator: Simulator) -> None:
    simulator.set(fault="no-usage")
    assert "usage" not in simulator.chat().json()
    assert "usage" not in simulator.chat(stream=True, stream_options={"include_usage": True}).text


def test_a_prefix_is_continued_exactly_and_billed_as_input(simulator: Simulator) -> None:
    text = simulator.chat().json()["choices"][0]["message"]["content"]
    for cut in (1, 200, 777, len(text)):
        messages = [
            {"role": "user", "content": "Tardigrades"},
            {"role": "assistant", "content": text[:cut], "prefix": True},
        ]
        answer = simulator.chat(messages=messages).json()
        assert text[:cut] + answer["choices"][0]["message"]["content"] == text
        entry = simulator.bill()["requests_log"][-1]
        assert entry["input_tokens"] == entry["prefix_tokens"] + 2
        assert entry["output_tokens"] + entry["prefix_tokens"] in (900, 901)
    simulator.set(prefix="echo")
    assert simulator.chat(messages=messages).json()["choices"][0]["message"]["content"] == text
    simulator.set(prefix="on", prefix_overlap=5)
    assert simulator.chat(messages=messages).json()["choices"][0]["message"]["content"] == text[-5:]
    simulator.set(prefix="off")
    assert simulator.chat(messages=messages).status_code == 400


def test_with_vary_each_answer_is_another_and_a_prefix_finds_its_own(simulator: Simulator) -> None:
    simulator.set(vary="on")
    texts = [simulator.chat("vary").json()["choices"][0]["message"]["content"] for _ in range(3)]
    assert len(set(texts)) == 3
    for text in texts:
        prefix = {"role": "assistant", "content": text[:600], "prefix": True}
        answer = simulator.chat(messages=[{"role": "user", "content": "vary"}, prefix]).json()
        assert text[:600] + answer["choices"][0]["message"]["content"] == text


def test_a_prompts_directive_overrides_the_options(simulator: Simulator) -> None:
    prompt = "Tardigrades [[simulator: answer-tokens=33; fault=server-error:first=1]]"
    assert simulator.chat(prompt).status_code == 500
    answer = simulator.chat(prompt).json()
    assert answer["usage"]["completion_tokens"] == 33
    assert answer["choices"][0]["message"]["content"].startswith("# Tardigrades\n")
    assert "colour" in simulator.chat("x [[simulator: colour=red]]").json()["error"]["message"]


def test_a_key_that_is_asked_for(simulator: Simulator) -> None:
    assert simulator.http.get("/v1/models", headers={"authorization": "Bearer wrong-key"}).status_code == 401
    guarded = Simulator("--require-key", "right")
    try:
        for header, status in (("", 401), ("Bearer other", 401), ("Bearer right", 200)):
            body = {"model": "m", "messages": [{"role": "user", "content": "x"}]}
            response = guarded.http.post("/v1/chat/completions", json=body, headers={"authorization": header})
            assert response.status_code == status
        assert guarded.bill()["refused"] == 2
    finally:
        assert guarded.stop() == (0, "")


def test_a_signal_stops_it_at_once_even_in_the_middle_of_a_stream() -> None:
    simulator = Simulator("--fault", "stall")
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    with simulator.http.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()
        next(lines)
        simulator.process.terminate()
        assert simulator.process.wait(timeout=10) == 0
    assert simulator.stop() == (0, "")


def test_the_environment_sets_options_and_a_wrong_one_is_named() -> None:
    command = [sys.executable, "-m", "services.simulator", "--port", "0"]
    environment = {**os.environ, "SIMULATOR_FAULT": "explode"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "unknown fault 'explode'" in ended.stderr


def test_health_and_metrics(simulator: Simulator) -> None:
    simulator.chat()
    assert simulator.http.get("/livez").status_code == simulator.http.get("/readyz").status_code == 200
    metrics = simulator.http.get("/metrics").text
    assert 'simulator_requests_total{kind="chat",outcome="finished"}' in metrics
    assert 'simulator_billed_tokens_total{direction="output"}' in metrics


def test_litellm_streams_from_it(simulator: Simulator) -> None:
    # A process of its own: importing litellm takes seconds of warnings that are not ours.
    program = """
import sys, litellm
parts = litellm.completion(
    model="openai/gpt-4o", api_base=sys.argv[1], api_key="sk-test", num_retries=0, max_retries=0, stream=True,
    stream_options={"include_usage": True}, messages=[{"role": "user", "content": "Tardigrades"},
    {"role": "assistant", "content": "# Tardi", "prefix": True}])
answer = litellm.stream_chunk_builder(list(parts))
sys.stdout.buffer.write(answer.choices[0].message.content.encode())
sys.stderr.write(f"{answer.usage.completion_tokens}")
"""
    environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    command = [sys.executable, "-W", "ignore", "-c", program, f"{simulator.url}/v1"]
    ended = subprocess.run(command, env=environment, capture_output=True, check=True)
    text = simulator.chat().json()["choices"][0]["message"]["content"]
    assert "# Tardi" + ended.stdout.decode() == text
    entry = simulator.bill()["requests_log"][0]
    assert ended.stderr.decode().split()[-1] == str(entry["output_tokens"])
    assert simulator.bill()["requests"] == 2
