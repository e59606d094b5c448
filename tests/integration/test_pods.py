"""Every pod alike: probes, one metrics page, signals, exit codes, settings refused by name."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.cli.ports import free_port
from services.cli.process import LocalProcess
from services.cli.stack import LocalStack

DEADLINE = 30.0
WORKERS = ("orchestrator", "llm_worker", "pdf_worker")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    stack = LocalStack(tmp_path_factory.mktemp("pods"), web_ui=False)
    stack.start()
    yield stack
    stack.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition with a deadline."""
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.05)


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.parametrize("name", [*WORKERS, "gateway"])
def test_the_metrics_page_parses_without_a_duplicate(stack: LocalStack, name: str) -> None:
    process: LocalProcess = getattr(stack, name)
    get(f"{stack.gateway_url}/v1/reports")  # the gateway connects at its first call
    url = f"http://127.0.0.1:{process.env['POD_HTTP_PORT']}/metrics"
    with urllib.request.urlopen(url) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = response.read().decode()
    families = list(text_string_to_metric_families(text))
    names = Counter(family.name for family in families)
    assert [name for name, count in names.items() if count > 1] == []
    series = Counter((sample.name, tuple(sorted(sample.labels.items()))) for f in families for sample in f.samples)
    assert [key for key, count in series.items() if count > 1] == []
    assert {"process_resident_memory_bytes", "process_cpu_seconds"} <= set(names)
    assert any(name.startswith("temporal_") for name in names)
    assert text.endswith("\n")


@pytest.mark.parametrize("name", WORKERS)
def test_a_worker_is_live_and_ready_and_says_when_it_is_not(stack: LocalStack, name: str) -> None:
    url = getattr(stack, name).url
    assert get(f"{url}/livez") == (200, "ok\n")
    assert get(f"{url}/readyz") == (200, "ok\n")
    assert get(f"{url}/")[0] == 404


def test_a_pod_waits_for_temporal_lives_and_ends_on_a_signal(stack: LocalStack) -> None:
    worker = stack._service("orchestrator", {"TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}, suffix="-alone")
    worker.start()
    wait_until(lambda: "waiting for Temporal" in worker.log_path.read_text())
    assert get(f"{worker.url}/livez") == (200, "ok\n")
    status, reason = get(f"{worker.url}/readyz")
    assert (status, "waiting" in reason) == (503, True)
    worker.signal(signal.SIGTERM)
    worker.wait(DEADLINE)
    assert worker.exit_code == 0
    waits = [line for line in worker.log_path.read_text().splitlines() if "waiting for Temporal" in line]
    assert len(waits) == 1, "one clear line, not one a try"


@pytest.mark.parametrize("name", WORKERS)
def test_sigterm_ends_an_idle_worker_with_0(stack: LocalStack, name: str) -> None:
    env = {} if name == "orchestrator" else {**stack.s3_env, "LLM_API_KEY": "x"}
    worker = stack._service(name, env, suffix="-sigterm")
    worker.start()
    worker.wait_ready(DEADLINE)
    worker.signal(signal.SIGTERM)
    worker.wait(DEADLINE)
    assert worker.exit_code == 0


@pytest.mark.parametrize(
    ("service", "name", "value"),
    [
        ("orchestrator", "POD_HTTP_PORT", "x"),
        ("llm_worker", "LLM_REBUY_LIMIT", "many"),
        ("pdf_worker", "PDF_CONCURRENCY", "-3"),
        ("gateway", "GATEWAY_PORT", "99999"),
    ],
)
def test_a_wrong_setting_stops_the_pod_with_one_line(service: str, name: str, value: str, tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), name: value}
    ended = subprocess.run(
        [sys.executable, "-m", f"services.{service}"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert name in ended.stderr


def test_every_log_line_is_json(stack: LocalStack) -> None:
    for name in (*WORKERS, "gateway"):
        for line in getattr(stack, name).log_path.read_text().splitlines():
            record = json.loads(line)
            assert {"service", "level", "message", "timestamp"} <= set(record)
