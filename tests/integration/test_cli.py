"""The `tardigrade` command as a person or a script uses it: real processes, real exit codes."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest
from pypdf import PdfReader

from services.cli.ports import free_port
from services.cli.stack import LocalStack
from services.contracts.reports import DEFAULT_PROMPT

TARDIGRADE = [sys.executable, "-m", "services.cli.main"]


def environment(stack: LocalStack | None, **more: str) -> dict[str, str]:
    env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return env | ({"TARDIGRADE_URL": stack.gateway_url} if stack else {}) | more


def run(
    stack: LocalStack | None, *arguments: str, cwd: Path, given: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TARDIGRADE, *arguments],
        input=given,
        env=environment(stack, **(env or {})),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def prompt_of(test: str, **directives: object) -> str:
    """Return a prompt of a test's own, with what the simulator is to do about it."""
    options = "; ".join(f"{name.replace('_', '-')}={value}" for name, value in directives.items())
    return f"{test} [[simulator: {options}]]" if options else test


def test_from_a_prompt_to_a_pdf_in_one_command(stack: LocalStack, tmp_path: Path) -> None:
    done = run(stack, "report", "create", "How do glass frogs hide?", "-o", "frogs.pdf", cwd=tmp_path)

    assert (done.returncode, done.stdout) == (0, "frogs.pdf\n")
    assert PdfReader(tmp_path / "frogs.pdf").pages[0].extract_text()
    assert "completed" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr  # no terminal, no colours


def test_a_file_that_is_there_is_not_overwritten(stack: LocalStack, tmp_path: Path) -> None:
    report_id = run(stack, "report", "create", "Why do cats knead?", "--wait", cwd=tmp_path).stdout.strip()
    mine = tmp_path / "mine.pdf"
    mine.write_text("mine")

    refused = run(stack, "report", "download", report_id, "-o", "mine.pdf", cwd=tmp_path)
    assert refused.returncode == 2
    before_paying = run(stack, "report", "create", "Why do cats knead?", "-o", "mine.pdf", cwd=tmp_path)
    assert (before_paying.returncode, before_paying.stdout) == (2, "")
    assert mine.read_text() == "mine"

    assert run(stack, "report", "download", report_id, "-o", "mine.pdf", "--force", cwd=tmp_path).returncode == 0
    assert mine.read_bytes().startswith(b"%PDF-")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pdf"]


def test_the_offered_name_and_the_markdown(stack: LocalStack, tmp_path: Path) -> None:
    report_id = run(stack, "report", "create", "Why is the sea salty?", "--wait", "-q", cwd=tmp_path).stdout.strip()

    saved = run(stack, "report", "download", report_id, "--markdown", cwd=tmp_path)

    name = saved.stdout.strip()
    assert re.fullmatch(r"[\w-]+\.md", name)
    assert "simulat" in (tmp_path / name).read_text().lower()


def test_the_verbs_of_a_report_and_their_json(stack: LocalStack, tmp_path: Path) -> None:
    created = run(stack, "report", "create", "What do bees count?", cwd=tmp_path)
    report_id = created.stdout.strip()
    assert re.fullmatch(r"report-[0-9a-f]{20}", report_id)
    assert created.stderr == ""

    watched = run(stack, "report", "watch", report_id, "--json", "--quiet", cwd=tmp_path)
    assert (watched.returncode, watched.stderr) == (0, "")
    assert json.loads(watched.stdout)["status"] == "completed"

    report = json.loads(run(stack, "report", "get", report_id, "--json", cwd=tmp_path).stdout)
    assert report["prompt"] == "What do bees count?"
    assert f"id:           {report_id}" in run(stack, "report", "get", report_id, cwd=tmp_path).stdout

    lines = run(stack, "report", "list", "--limit", "1000", cwd=tmp_path).stdout.splitlines()
    assert [line.split("\t")[1] for line in lines if line.startswith(report_id)] == ["completed"]

    refused = run(stack, "report", "delete", report_id, cwd=tmp_path)
    assert refused.returncode == 2, "nobody confirmed it"
    assert run(stack, "report", "delete", report_id, "--yes", cwd=tmp_path).returncode == 0
    gone = run(stack, "report", "get", report_id, cwd=tmp_path)
    assert gone.returncode == 3
    assert [line.split(":")[0].strip() for line in gone.stderr.splitlines()] == ["error", "why", "do"]


@pytest.mark.parametrize(
    ("given", "prompt"), [("\n", DEFAULT_PROMPT), ("  \n", DEFAULT_PROMPT), ("Why moss?\n", "Why moss?")]
)
def test_without_a_prompt_it_asks(stack: LocalStack, tmp_path: Path, given: str, prompt: str) -> None:
    created = run(stack, "report", "create", "--json", cwd=tmp_path, given=given)

    assert created.stderr.startswith("Enter your research topic or question:")
    report = json.loads(run(stack, "report", "get", json.loads(created.stdout)["id"], "--json", cwd=tmp_path).stdout)
    assert report["prompt"] == prompt


def test_the_same_key_makes_no_second_report(stack: LocalStack, tmp_path: Path) -> None:
    first, second = (
        run(stack, "report", "create", "Why two?", "--key", "k-1", "--wait", cwd=tmp_path) for _ in range(2)
    )
    other = run(stack, "report", "create", "Why three?", "--key", "k-1", cwd=tmp_path)

    assert first.stdout == second.stdout
    assert (other.returncode, other.stdout) == (2, "")


def test_a_failed_report_says_why_and_exits_1(stack: LocalStack, tmp_path: Path) -> None:
    prompt = prompt_of("Why would the key be refused?", fault="auth")

    failed = run(stack, "report", "create", prompt, "--wait", cwd=tmp_path)

    assert failed.returncode == 1
    assert "llm-authentication" in failed.stderr
    assert "tardigrade report retry" in failed.stderr


def test_retries_are_shown_with_their_reason(stack: LocalStack, tmp_path: Path) -> None:
    prompt = prompt_of("Why does it stumble?", fault="server-error:first=2")

    done = run(stack, "report", "create", prompt, "--wait", "--verbose", cwd=tmp_path)

    assert done.returncode == 0
    assert "attempt 2" in done.stderr
    assert "last failure: llm-provider-error" in done.stderr


def test_what_the_gateway_refuses_is_a_usage_error(stack: LocalStack, tmp_path: Path) -> None:
    refused = run(stack, "report", "create", "x" * 32_001, cwd=tmp_path)

    assert refused.returncode == 2
    assert "prompt" in refused.stderr


def test_a_gateway_that_is_away(tmp_path: Path) -> None:
    away = run(None, "report", "list", "--url", f"http://127.0.0.1:{free_port()}", cwd=tmp_path)

    assert (away.returncode, away.stdout) == (4, "")
    assert "tardigrade local" in away.stderr


def test_ctrl_c_detaches_and_cancel_ends_it(stack: LocalStack, tmp_path: Path) -> None:
    prompt = prompt_of("Why does it take so long?", ttft=60)
    waiting = subprocess.Popen(
        [*TARDIGRADE, "report", "create", prompt, "--wait"],
        env=environment(stack),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with waiting:
        assert waiting.stdout is not None
        report_id = waiting.stdout.readline().strip()
        waiting.send_signal(signal.SIGINT)
        _, said = waiting.communicate(timeout=30)
    assert waiting.returncode == 130
    assert f"tardigrade report watch {report_id}" in said
    assert "Traceback" not in said
    assert json.loads(run(stack, "report", "get", report_id, "--json", cwd=tmp_path).stdout)["closed_at"] is None

    assert run(stack, "report", "cancel", report_id, cwd=tmp_path).returncode == 0
    assert run(stack, "report", "watch", report_id, cwd=tmp_path).returncode == 5


def test_doctor_finds_everything_and_shows_no_secret(stack: LocalStack, tmp_path: Path) -> None:
    env = {**stack.temporal_env, **stack.s3_env, "LLM_API_KEY": "sk-very-secret"}

    well = run(stack, "doctor", cwd=tmp_path, env=env)

    assert well.returncode == 0, well.stdout
    lines = well.stdout.splitlines()
    assert len(lines) == 9
    assert all(line.startswith("ok ") for line in lines)
    assert "sk-very-secret" not in well.stdout + well.stderr
    assert stack.s3_env["AWS_SECRET_ACCESS_KEY"] not in well.stdout + well.stderr


def test_doctor_names_what_is_amiss_and_the_remedy(stack: LocalStack, tmp_path: Path) -> None:
    env = {**stack.s3_env, "AWS_SECRET_ACCESS_KEY": "wrong", "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}"}

    found = run(stack, "doctor", "--json", cwd=tmp_path, env=env)

    assert found.returncode == 1
    failed = {finding["name"]: finding["remedy"] for finding in json.loads(found.stdout) if not finding["ok"]}
    assert failed.keys() == {"Temporal", "Object store", "LLM key"}
    assert "TEMPORAL_ADDRESS" in failed["Temporal"]
    assert "AWS_ENDPOINT_URL_S3" in failed["Object store"]


class Local:
    """`tardigrade local` as a child, on ports of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        argv = [*TARDIGRADE, "local", "--port", str(self.port)]
        for name in ("temporal", "temporal-ui", "s3"):
            argv += [f"--{name}-port", str(free_port())]
        self._err = (folder / "local.err").open("w+")
        self.process = subprocess.Popen(
            argv, env=environment(None), cwd=folder, stdout=subprocess.PIPE, stderr=self._err, text=True
        )

    def addresses(self) -> dict[str, str]:
        """Wait until it is ready and return what it prints."""
        found: dict[str, str] = {}
        assert self.process.stdout is not None
        while "Simulator's bill" not in found:
            line = self.process.stdout.readline()
            assert line, self.said()
            name, _, address = line.partition(": ")
            found[name] = address.strip()
        return found

    def said(self) -> str:
        self._err.seek(0)
        return self._err.read()

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def end(self, number: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def close(self) -> None:
        self.end(signal.SIGKILL)
        self._err.close()


@pytest.fixture
def local(tmp_path: Path) -> Any:
    started: list[Local] = []

    def start() -> Local:
        started.append(Local(tmp_path))
        return started[-1]

    yield start
    for one in started:
        one.close()


def listening(process: psutil.Process) -> set[str]:
    return {
        connection.laddr.ip for connection in process.net_connections("tcp") if connection.status == psutil.CONN_LISTEN
    }


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=15)[1]


def test_local_keeps_its_state_restarts_what_is_killed_and_leaves_nothing(
    local: Any, wait_until: Any, tmp_path: Path
) -> None:
    first = local()
    addresses = first.addresses()
    children = first.children()
    assert len(children) == 8, "seven parts and the guard"
    assert set().union(*(listening(child) for child in children)) == {"127.0.0.1"}
    env = {"TARDIGRADE_URL": addresses["API"]}
    done = run(None, "report", "create", "Why persist?", "--wait", cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    report_id = done.stdout.strip()
    assert run(None, "doctor", cwd=tmp_path, env=env).returncode == 0, "it finds the local stack by its state folder"

    next(child for child in children if "services.pdf_worker" in child.cmdline()).kill()
    wait_until(lambda: "pdf-worker ended" in first.said(), what="the killed part is noticed")
    assert "by SIGKILL; started again" in first.said()

    children = first.children()
    assert first.end(signal.SIGINT) == 0
    assert gone(children)

    second = local()
    env = {"TARDIGRADE_URL": second.addresses()["API"]}
    assert run(None, "report", "download", report_id, "-o", "again.pdf", cwd=tmp_path, env=env).returncode == 0
    children = second.children()
    second.end(signal.SIGKILL)
    assert gone(children), "the guard ends what a killed parent leaves behind"


def test_two_stacks_on_one_state_folder_are_refused(local: Any, tmp_path: Path) -> None:
    local().addresses()

    second = run(None, "local", "--port", str(free_port()), cwd=tmp_path)

    assert second.returncode == 2
    assert "already runs" in second.stderr


def test_render_needs_no_service(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Notes\n\nOf *some* kind.\n")

    done = run(None, "render", "notes.md", "-o", "notes.pdf", "--paper", "letter", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "Of some kind." in PdfReader(tmp_path / "notes.pdf").pages[0].extract_text()


def test_version(tmp_path: Path) -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+\n", run(None, "version", cwd=tmp_path).stdout)
