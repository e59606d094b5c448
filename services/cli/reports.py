"""`tardigrade report …`: the verbs."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from services.cli.exits import CommandError, Exit
from services.contracts.reports import DEFAULT_PROMPT, Paper

if TYPE_CHECKING:
    from services.cli.client import Gateway

# httpx and rich are imported where a command runs: `--help` and completion answer in 0.2 s without them.

app = typer.Typer(no_args_is_help=True, help="Create, follow and fetch reports.")

Url = Annotated[str, typer.Option(envvar="TARDIGRADE_URL", help="Address of the gateway.", show_envvar=True)]
Json = Annotated[bool, typer.Option("--json", help="Write the data as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no messages, only data and errors.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Progress as plain lines where there is no terminal.")]
ReportId = Annotated[str, typer.Argument(metavar="ID", help="The report's id, as `create` and `list` print it.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="File or folder to write to; `-`: stdout.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")]

DEFAULT_URL = "http://127.0.0.1:8080"
QUESTION = "Enter your research topic or question:"


class Status(StrEnum):
    """What became of a report."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


@app.command()
def create(
    prompt: Annotated[str | None, typer.Argument(help="Topic or question; `-` reads stdin, none asks for it.")] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait until the report is there.")] = False,
    output: Output = None,
    force: Force = False,
    model: Annotated[str | None, typer.Option(help="litellm's name of the model, such as openai/gpt-4o.")] = None,
    language: Annotated[str | None, typer.Option(help="BCP 47 tag of the report's language, such as de.")] = None,
    paper: Annotated[Paper | None, typer.Option(help="Page size.")] = None,
    pause: Annotated[float | None, typer.Option(help="Durable pause in seconds between research and PDF.")] = None,
    max_cost_usd: Annotated[float | None, typer.Option(help="The most it may spend at the provider.")] = None,
    max_tokens: Annotated[int | None, typer.Option(help="The most tokens it may be billed.")] = None,
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same one again makes no second report.")] = None,
    cancel_on_interrupt: Annotated[
        bool, typer.Option("--cancel-on-interrupt", help="Ctrl-C cancels the report, not just the wait.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Ask for a report; prints its id, or with -o where the file is (and waits for it)."""
    from services.cli import follow, save, show
    from services.cli.client import Gateway

    if output is not None:
        save.refuse_overwriting(output, force=force)  # before the report is paid for, not after
    body: dict[str, Any] = {
        "prompt": _prompt(prompt),
        "model": model,
        "language": language,
        "paper": paper,
        "pause_seconds": pause,
        "max_cost_usd": max_cost_usd,
        "max_tokens": max_tokens,
    }
    gateway = Gateway(url)
    key = key or secrets.token_hex(16)
    try:
        report = gateway.create({name: value for name, value in body.items() if value is not None}, key)
    except CommandError as error:
        if error.code is Exit.UNREACHABLE:
            # The request may have arrived all the same.
            error.remedy += f" With --key {key} the same command makes no second report."
        raise
    report_id = report["id"]
    if not wait and output is None:
        if json:
            show.out_json(report)
            return
        show.out(report_id)
        if sys.stderr.isatty() and not quiet:
            show.stderr().print(f"Follow it: tardigrade report watch {report_id}", style="dim", soft_wrap=True)
        return
    with _detachable(gateway, report_id, cancel=cancel_on_interrupt):
        if output is None and not json:
            show.out(report_id)
        report = follow.follow(gateway, report, quiet=quiet, verbose=verbose)
    code = follow.ended(report, quiet=quiet)
    if code is Exit.OK and output is not None:
        _save(gateway, report_id, "pdf", output, force=force, say=not json)
    if json:
        show.out_json(report)
    raise typer.Exit(code)


@app.command("list")
def list_reports(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="The most reports to show.")] = 20,
    status: Annotated[Status | None, typer.Option(help="Only those of this status.")] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
) -> None:
    """List reports: those under way first, newest first, then the ended ones, last ended first."""
    from services.cli import show
    from services.cli.client import Gateway

    gateway = Gateway(url)
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while len(found) < limit:
        page = gateway.list(limit=min(limit - len(found), 100), status=status, cursor=cursor)
        found += page["reports"]
        cursor = page.get("next_cursor")
        if not cursor:
            break
    if json:
        show.out_json({"reports": found, "next_cursor": cursor})
    elif found:
        show.reports(found)
    elif sys.stderr.isatty():
        show.stderr().print("No reports yet: tardigrade report create", style="dim")


@app.command()
def get(report_id: ReportId, json: Json = False, url: Url = DEFAULT_URL) -> None:
    """Show one report."""
    from services.cli import show
    from services.cli.client import Gateway

    report = Gateway(url).get(report_id)
    if json:
        show.out_json(report)
    else:
        show.report(report)


@app.command()
def watch(
    report_id: ReportId,
    json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Follow a report until it ends; exits 0, 1 (failed) or 5 (cancelled)."""
    from services.cli import follow, show
    from services.cli.client import Gateway

    gateway = Gateway(url)
    with _detachable(gateway, report_id, cancel=False):
        report = follow.follow(gateway, gateway.get(report_id), quiet=quiet, verbose=verbose)
    code = follow.ended(report, quiet=quiet)
    if json:
        show.out_json(report)
    raise typer.Exit(code)


@app.command()
def cancel(report_id: ReportId, json: Json = False, quiet: Quiet = False, url: Url = DEFAULT_URL) -> None:
    """Ask for a report's cancellation; research that was paid for is kept."""
    from services.cli import show
    from services.cli.client import Gateway

    report = Gateway(url).cancel(report_id)
    if json:
        show.out_json(report)
    elif not quiet:
        show.stderr().print(f"Asked for. See how it ends: tardigrade report watch {report_id}", soft_wrap=True)


@app.command()
def retry(
    report_id: ReportId,
    model: Annotated[str | None, typer.Option(help="Another model than before.")] = None,
    json: Json = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Start a failed or cancelled report again; an answer that was recorded is not bought again."""
    from services.cli import show
    from services.cli.client import Gateway

    report = Gateway(url).retry(report_id, model)
    if json:
        show.out_json(report)
    else:
        show.out(report["id"])


@app.command()
def download(
    report_id: ReportId,
    output: Output = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="The Markdown instead of the PDF.")] = False,
    force: Force = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Save a finished report; prints where."""
    from services.cli.client import Gateway

    _save(Gateway(url), report_id, "markdown" if markdown else "pdf", output, force=force, say=True)


@app.command()
def delete(
    report_id: ReportId,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    quiet: Quiet = False,
    url: Url = DEFAULT_URL,
) -> None:
    """Delete a finished report: PDF, Markdown and the recorded answers."""
    from services.cli import show
    from services.cli.client import Gateway

    if not yes:
        if not sys.stdin.isatty():
            raise CommandError(
                f"{report_id} was not deleted", "Nobody is there to confirm it.", "Give --yes.", Exit.USAGE
            )
        if not typer.confirm(f"Delete {report_id} and everything of it?", err=True):
            raise typer.Exit(Exit.FAILED)
    Gateway(url).delete(report_id)
    if not quiet:
        show.stderr().print(f"Deleted {report_id}")


def _prompt(given: str | None) -> str:
    if given == "-":
        return sys.stdin.read()
    if given is not None:
        return given
    sys.stderr.write(f"{QUESTION} ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer:
        raise CommandError(
            "No report was asked for", "stdin ended before a prompt.", "Give one as an argument.", Exit.USAGE
        )
    return answer.strip() or DEFAULT_PROMPT


@contextmanager
def _detachable(gateway: "Gateway", report_id: str, *, cancel: bool) -> Iterator[None]:
    """Let Ctrl-C leave the report running, or cancel it, and say how to come back."""
    from services.cli import show

    try:
        yield
    except KeyboardInterrupt:
        if cancel:
            gateway.cancel(report_id)
            message = f"Cancelling. See how it ends: tardigrade report watch {report_id}"
        else:
            message = f"Detached; the report goes on. Come back: tardigrade report watch {report_id}"
        show.stderr().print(message, soft_wrap=True)
        raise typer.Exit(Exit.INTERRUPTED) from None


def _save(gateway: "Gateway", report_id: str, kind: str, output: Path | None, *, force: bool, say: bool) -> None:
    from services.cli import save, show

    if output == Path("-"):
        with gateway.download(report_id, kind) as answer:
            for chunk in answer.iter_bytes():
                sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        return
    path = save.save(gateway, report_id, kind, output, force=force)
    if say:
        show.out(str(path))
