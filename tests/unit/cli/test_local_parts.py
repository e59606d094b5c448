"""The parts of the local stack, without the stack."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from services.cli import ports, programs, provider, show
from services.cli.process import LocalProcess, ProcessNotReadyError
from services.cli.stack import LocalStack

# Answers on its port, and has a child in its process group.
SERVER = """
import subprocess, sys
from http.server import HTTPServer, SimpleHTTPRequestHandler
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
HTTPServer(("127.0.0.1", int(sys.argv[1])), SimpleHTTPRequestHandler).serve_forever()
"""


def part(tmp_path: Path, code: str) -> LocalProcess:
    port = ports.free_port()
    argv = [sys.executable, "-c", code, str(port)]
    return LocalProcess("part", argv, {}, state_dir=tmp_path, url=f"http://127.0.0.1:{port}", ready_path="/")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalProcess]:
    process = part(tmp_path, SERVER)
    process.start()
    process.wait_ready()
    yield process
    process.kill()


def test_a_part_is_killed_with_what_it_started(server: LocalProcess) -> None:
    children = psutil.Process(server.pid).children()
    assert children

    server.kill()

    assert server.exit_code == -signal.SIGKILL
    assert not server.running
    assert not psutil.wait_procs(children, timeout=10)[1]


def test_a_part_comes_back_on_its_port(server: LocalProcess) -> None:
    before = server.pid

    server.restart()

    assert server.ready()
    assert server.pid != before
    with pytest.raises(RuntimeError, match="runs already"):
        server.start()


def test_a_part_that_ends_is_shown_with_its_log(tmp_path: Path) -> None:
    process = part(tmp_path, "import sys; sys.exit('bad setting LLM_MODEL: no such model')")
    process.start()

    with pytest.raises(ProcessNotReadyError, match=r"(?s)exit code 1.*bad setting LLM_MODEL"):
        process.wait_ready(10)
    process.kill()


def test_a_part_gets_no_more_than_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_API_KEY", "sk-of-the-caller")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-caller")
    stack = LocalStack(tmp_path, llm_env={"LLM_CONCURRENCY": "3"})

    holders = {name: {p.name for p in stack.processes if name in p.env} for name in ("LLM_API_KEY", "S3_BUCKET")}
    assert holders == {"LLM_API_KEY": {"llm-worker"}, "S3_BUCKET": {"llm-worker", "pdf-worker", "gateway"}}
    everything = {value for process in stack.processes for value in [*process.env.values(), *process.argv]}
    assert not everything & {"sk-of-the-caller", "of-the-caller"}
    assert stack.llm_worker.env["LLM_CONCURRENCY"] == "3"


def test_the_secret_key_is_the_owners_and_stays(tmp_path: Path) -> None:
    config = tmp_path / "s3.json"

    first = programs.S3Credentials.of(config)

    assert programs.S3Credentials.of(config) == first
    assert first.secret_key not in repr(first)
    assert config.stat().st_mode & 0o077 == 0


def test_a_missing_program_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(programs.MissingProgramError, match=r"tardigrade\[local\]"):
        programs.find("no-such-program")


def test_a_free_port_is_free_and_given_once() -> None:
    assert len({ports.free_port() for _ in range(100)}) == 100
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not ports.is_free(taken.getsockname()[1])


def test_the_guard_ends_the_children_of_a_killed_parent(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
from pathlib import Path
from services.cli.guard import Guard
from services.cli.process import LocalProcess
part = LocalProcess("part", [sys.executable, "-c", "import time; time.sleep(600)"], {{}},
                    state_dir=Path({str(tmp_path)!r}), url="", ready_path="")
part.start(Guard())
print(part.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    parent = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert parent.returncode == -signal.SIGKILL

    pid = int(parent.stdout)
    if psutil.pid_exists(pid):
        assert not psutil.wait_procs([psutil.Process(pid)], timeout=10)[1]


@pytest.fixture
def no_llm_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LLM_")]:
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("no_llm_settings")
def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("LLM_API_KEY=sk-file\nLLM_MODEL=openai/file\nOTHER=1\n")
    monkeypatch.setenv("LLM_MODEL", "openai/environment")

    found = provider.from_environment(tmp_path)

    assert not found.simulated
    assert found.env == {"LLM_API_KEY": "sk-file", "LLM_MODEL": "openai/environment"}
    assert "sk-file" not in repr(found)


@pytest.mark.usefixtures("no_llm_settings")
def test_without_a_key_the_model_is_simulated(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LLM_API_KEY=\nLLM_API_BASE=http://ollama:11434/v1\nLLM_CONCURRENCY=5\n")

    found = provider.from_environment(tmp_path)

    assert found.simulated
    assert found.env == {"LLM_CONCURRENCY": "5"}
    assert "LLM_API_KEY" in found.hint


@pytest.mark.parametrize("hostile", ["\x1b[2J\x1b]0;owned\x07title", "a\r\nb", "\u202egpj.exe"])
def test_text_from_outside_cannot_drive_the_terminal(hostile: str) -> None:
    assert show.plain(hostile).isprintable()


@pytest.mark.parametrize(
    ("spend", "text"),
    [
        (None, "nothing yet"),
        (
            {"calls": 1, "input_tokens": 10, "output_tokens": 2000, "cost_usd": None},
            "10 tokens in, 2,000 out, price unknown",
        ),
        ({"calls": 1, "input_tokens": 10, "output_tokens": 20, "cost_usd": 0.01234}, "$0.0123 (10 tokens in, 20 out)"),
        (
            {"calls": 2, "input_tokens": 10, "output_tokens": 20, "wasted_tokens": 7, "cost_usd": 1.0},
            "$1.0000 (10 tokens in, 20 out, 7 of them wasted)",
        ),
    ],
)
def test_money_in_words(spend: dict[str, object] | None, text: str) -> None:
    assert show.money(spend) == text
