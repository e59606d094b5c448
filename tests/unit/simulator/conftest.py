"""The simulator as a process of its own, started once; each test begins with a fresh bill and the start options."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest


class Simulator:
    """A running simulator."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "services.simulator", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        self.http = httpx.Client(base_url=self.url, timeout=10)

    def stop(self) -> tuple[int, str]:
        self.http.close()
        self.process.terminate()
        _, errors = self.process.communicate(timeout=10)
        return self.process.returncode, errors

    def set(self, **options: object) -> None:
        self.http.post("/control", json=options).raise_for_status()

    def bill(self) -> dict[str, Any]:
        bill: dict[str, Any] = self.http.get("/billing").json()
        return bill

    def chat(self, prompt: str = "Tardigrades", **body: object) -> httpx.Response:
        messages = [{"role": "user", "content": prompt}]
        return self.http.post("/v1/chat/completions", json={"model": "m", "messages": messages, **body})

    def log_when(self, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Return the last request on the bill once the condition holds for it."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            log = self.bill()["requests_log"]
            if log and condition(log[-1]):
                entry: dict[str, Any] = log[-1]
                return entry
        raise AssertionError(f"the last request on the bill never became as expected: {log[-1:]}")


@pytest.fixture(scope="session")
def _process() -> Iterator[Simulator]:
    simulator = Simulator()
    yield simulator
    assert simulator.stop() == (0, "")


@pytest.fixture
def simulator(_process: Simulator) -> Simulator:
    _process.http.delete("/control").raise_for_status()
    _process.http.delete("/billing").raise_for_status()
    return _process


@pytest.fixture(scope="session")
def client(_process: Simulator) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{_process.url}/v1", api_key="sk-test", max_retries=0) as client:
        yield client
