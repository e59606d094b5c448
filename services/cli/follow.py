"""Following a report until it ends: one live line on a terminal, plain lines where they were asked for."""

import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from services.cli import show
from services.cli.client import Gateway, Report
from services.cli.exits import Exit

_STAGES = {"queued": "Queued", "research": "Research", "pause": "Pause", "pdf": "PDF", "done": "Done"}
EXIT_CODES = {"completed": Exit.OK, "failed": Exit.FAILED, "cancelled": Exit.CANCELLED}


class _Progress:
    """What is known, as rich draws it anew a few times a second."""

    def __init__(self, report: Report) -> None:
        self._spinner = Spinner("dots")
        self._began = self._entered = time.monotonic()
        self._passed: list[tuple[str, float]] = []
        self.report = report

    def update(self, report: Report) -> None:
        if report["stage"] != self.report["stage"]:
            now = time.monotonic()
            if self.report["stage"] != "queued":
                self._passed.append((self.report["stage"], now - self._entered))
            self._entered = now
        self.report = report

    def tick(self, data: dict[str, Any]) -> None:
        self.report = {**self.report, **data}

    def line(self) -> Text:
        """Return the running stage on one line."""
        report = self.report
        parts = [str(_STAGES.get(report["stage"], report["stage"]))]
        if report.get("tokens_so_far") and report["stage"] == "research":
            parts.append(show.count(report["tokens_so_far"], "token"))
        if report.get("pages_so_far") and report["stage"] == "pdf":
            parts.append(show.count(report["pages_so_far"], "page"))
        if report.get("attempt", 1) > 1:
            parts.append(f"attempt {report['attempt']}")
        if (report.get("spend") or {}).get("calls"):
            parts.append(f"spent {show.money(report['spend'])}")
        parts.append(f"{time.monotonic() - self._began:.0f} s")
        return Text(", ".join(parts))

    def failure(self) -> Text | None:
        """Return why the running step failed last, if it did."""
        failure = self.report.get("last_failure")
        if not failure or self.report["status"] in EXIT_CODES:
            return None
        text = show.plain(f"last failure: {failure['type']}: {failure['message']}")
        return Text(f"  {text}", style="yellow", no_wrap=True, overflow="ellipsis")

    def __rich__(self) -> Group:
        lines = [Text.assemble(("✓ ", "green"), f"{_STAGES[stage]}  {took:.1f} s") for stage, took in self._passed]
        if self.report["status"] not in EXIT_CODES:
            self._spinner.update(text=self.line())
            return Group(*lines, self._spinner, *filter(None, [self.failure()]))
        return Group(*lines)


def follow(gateway: Gateway, report: Report, *, quiet: bool = False, verbose: bool = False) -> Report:
    """Wait until a report has ended, showing how far it is on stderr, and return it.

    Args:
        gateway: Where it is made.
        report: As it was when it was last seen.
        quiet: Show nothing.
        verbose: Without a terminal, write a line for each event, ticks excepted.

    Raises:
        CommandError: The gateway could not be reached for two minutes.
        KeyboardInterrupt: The person at the terminal has seen enough; the report goes on.
    """
    console = show.stderr()
    progress = _Progress(report)
    if console.is_terminal and not quiet:
        with Live(progress, console=console, refresh_per_second=8):
            _consume(gateway, progress, None)
    else:
        _consume(gateway, progress, console if verbose and not quiet else None)
    return gateway.get(report["id"])


def _consume(gateway: Gateway, progress: _Progress, lines: Console | None) -> None:
    if progress.report["status"] in EXIT_CODES:
        return
    for event in gateway.events(progress.report["id"]):
        if event.name == "tick":
            progress.tick(event.data)
            continue
        progress.update(event.data)
        if lines is not None:
            for line in filter(None, [progress.line(), progress.failure()]):
                lines.print(line, soft_wrap=True)


def ended(report: Report, *, quiet: bool = False) -> Exit:
    """Say on stderr how a report ended, and return what to exit with."""
    console = show.stderr()
    if not quiet:
        match report["status"]:
            case "completed":
                text = f"{show.count(report['pages'], 'page')}, {show.money(report.get('spend'))}"
                console.print(Text.assemble(("completed ", "bold green"), text), soft_wrap=True)
            case "failed":
                failure = report.get("error") or {"type": "unknown", "message": "no reason was recorded"}
                reason = show.plain(f"{failure['type']}: {failure['message']}")
                console.print(Text.assemble(("failed ", "bold red"), reason), soft_wrap=True)
                remedy = f"Mend the cause, then `tardigrade report retry {report['id']}`: research is not paid twice."
                console.print(Text(remedy), soft_wrap=True)
            case _:
                console.print(Text("cancelled", style="bold yellow"))
        for warning in report.get("warnings") or []:
            console.print(Text.assemble(("warning ", "bold yellow"), show.plain(warning)), soft_wrap=True)
    return EXIT_CODES.get(report["status"], Exit.FAILED)
