"""`make demo-crash`: the same crashes without and with durability, counted by the provider's bill."""

import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from services.cli import local, plain_script, show
from services.cli.client import CLOSED, Gateway, Report
from services.cli.exits import CommandError, Exit
from services.cli.provider import SIMULATOR_PACE
from services.cli.stack import LocalStack

# Enough for a killed worker to be missed (heartbeat timeout 10 s) and for the longest wait between retries (30 s).
_DEADLINE_SECONDS = 90.0
_PAUSE_SECONDS = 3.0


@dataclass(frozen=True)
class Row:
    """One line of the closing table.

    Attributes:
        what: Which program, and what was done to it.
        calls: Calls that the provider billed.
        tokens: Tokens that it billed.
        expected: Calls that were to be billed.
        pdf: Size of the PDF in bytes; 0 for none.
    """

    what: str
    calls: int
    tokens: int
    expected: int
    pdf: int


class _Story:
    """The stack, its bill, and the telling."""

    def __init__(self, stack: LocalStack, console: Console) -> None:
        self.stack = stack
        self.console = console
        self.gateway = Gateway(stack.gateway_url)

    def say(self, text: str) -> None:
        self.console.print(f"  {text}", soft_wrap=True)

    def new_bill(self) -> None:
        httpx.delete(f"{self.stack.simulator_url}/billing", trust_env=False).raise_for_status()

    def row(self, what: str, expected: int, pdf: int) -> Row:
        answer = httpx.get(f"{self.stack.simulator_url}/billing", params={"log": "0"}, trust_env=False)
        bill = answer.raise_for_status().json()
        return Row(what, bill["requests"], bill["tokens"], expected, pdf)

    def create(self, prompt: str) -> str:
        report = self.gateway.create({"prompt": prompt, "pause_seconds": _PAUSE_SECONDS}, secrets.token_hex(16))
        return str(report["id"])

    def until(self, report_id: str, what: str, condition: Callable[[Report], Any]) -> Report:
        """Wait until a report is as it should be.

        Raises:
            CommandError: It never was.
        """
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while True:
            report = self.gateway.get(report_id)
            if condition(report):
                return report
            if report["status"] in CLOSED or time.monotonic() > deadline:
                why = f"The report is {report['status']}, stage {report['stage']}: {report.get('error')}"
                raise CommandError(f"Waited for this in vain: {what}", why, f"Look into {self.stack.state_dir}/logs.")
            time.sleep(0.1)

    def finished(self, report_id: str) -> int:
        report = self.until(report_id, "the report is completed", lambda one: one["status"] == "completed")
        return int(report["size"])


def run(state_dir: Path) -> Exit:
    """Tell the story and print the table; `Exit.FAILED` if the bill is not what it should be.

    Args:
        state_dir: Emptied of nothing, but best one of its own.

    Raises:
        CommandError: The stack could not be started, or a report did not come to its end.
    """
    console = show.stderr()
    with local.told(state_dir):
        stack = LocalStack(state_dir, simulator_options=SIMULATOR_PACE, web_ui=False)
        try:
            with console.status("Starting the local stack with the simulated provider, which keeps a bill"):
                stack.start()
            story = _Story(stack, console)
            rows = [_script(story), _killed_workers(story), _failing_storage(story)]
        finally:
            with console.status("Stopping"):
                stack.stop()
    _print(rows)
    if all(row.calls == row.expected and row.pdf for row in rows):
        return Exit.OK
    console.print("The bill is not what it should be.", style="bold red")
    return Exit.FAILED


def _script(story: _Story) -> Row:
    story.console.print(
        "\n[bold]1. A plain script[/bold], killed between the model's answer and the PDF, and run again"
    )
    story.new_bill()
    target = story.stack.state_dir / "plain-script.pdf"
    target.unlink(missing_ok=True)
    argv = [sys.executable, "-m", "services.cli.plain_script", "Why did the plain script pay twice?", str(target)]
    env = {**story.stack.orchestrator.env, **story.stack.provider_env}
    with subprocess.Popen(argv, env=env, stdout=subprocess.PIPE, text=True) as script:  # noqa: S603  our own module
        said = script.stdout.readline().strip() if script.stdout else ""
        script.kill()
    if said != plain_script.ANSWERED:
        raise CommandError("The plain script did not reach its answer", said or "It said nothing.", "Read its error.")
    story.say(f"{said}; the script is killed (SIGKILL) before the PDF is made")
    story.say("run again: it knows nothing of the answer and calls the model again")
    subprocess.run(argv, env=env, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  as above
    return story.row("plain script, killed once, run again", 2, target.stat().st_size)


def _killed_workers(story: _Story) -> Row:
    story.console.print("\n[bold]2. Tardigrade[/bold], its workers killed at the same points")
    story.new_bill()
    stack = story.stack
    report_id = story.create("Why did the durable service pay once?")
    story.until(report_id, "the answer is recorded", lambda one: one["stage"] == "pause")
    # Stopped first, so that it surely holds the task when it is killed: a small PDF takes a tenth of a second.
    stack.pdf_worker.signal(signal.SIGSTOP)
    stack.llm_worker.kill()
    story.say("the model has answered; the LLM worker is killed (SIGKILL) and started again")
    stack.llm_worker.start()
    story.until(report_id, "the PDF step has begun", lambda one: one["stage"] == "pdf")
    stack.pdf_worker.kill()
    story.say("the PDF step has begun; the PDF worker is killed (SIGKILL) and started again")
    stack.pdf_worker.start()
    begun = time.monotonic()
    again = story.until(report_id, "a second attempt", lambda one: one["attempt"] > 1 or one["status"] == "completed")
    if again["attempt"] > 1:
        story.say("Temporal misses its heartbeat and gives the task to the new worker")
    size = story.finished(report_id)
    story.say(f"completed {time.monotonic() - begun:.0f} s after the kill")
    stack.llm_worker.wait_ready()
    return story.row("Tardigrade, LLM and PDF worker killed", 1, size)


def _failing_storage(story: _Story) -> Row:
    story.console.print("\n[bold]3. Tardigrade[/bold], its object store failing when the PDF is to be stored")
    story.new_bill()
    stack = story.stack
    report_id = story.create("Why does a paid answer wait for its disk?")
    story.until(report_id, "the answer is recorded", lambda one: one["stage"] == "pause")
    stack.object_store.kill()
    story.say("the model has answered; the object store is killed (SIGKILL)")
    report = story.until(report_id, "the PDF step fails", lambda one: one["stage"] == "pdf" and one["last_failure"])
    failure = report["last_failure"]
    story.say(f"the PDF step fails and waits: {show.plain(failure['message']).partition(':')[0]}")
    stack.object_store.restart()
    story.say("the object store is back")
    size = story.finished(report_id)
    story.say("the next attempt made the PDF from the answer that was paid for")
    return story.row("Tardigrade, object store failing, mended", 1, size)


def _print(rows: list[Row]) -> None:
    table = Table(title="What the provider billed", title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("REPORT")
    for name in ("CALLS", "EXPECTED", "TOKENS", "PDF"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        colour = "green" if row.calls == row.expected else "bold red"
        calls = f"[{colour}]{row.calls}[/{colour}]"
        table.add_row(row.what, calls, str(row.expected), f"{row.tokens:,}", f"{row.pdf:,} bytes")
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)
    console.print()
    console.print(table)
