"""The `tardigrade` command."""

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from services.cli import reports
from services.cli.exits import CommandError, Exit

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Research reports that survive: a prompt goes in, a PDF comes out, every step durable on Temporal.",
    epilog=(
        "[bold]Exit codes[/bold]: 0 ok, 1 failed, 2 usage, 3 not found, 4 cannot reach the gateway, "
        "5 cancelled, 130 interrupted.\n\n"
        '[bold]Example[/bold]: tardigrade report create "How do tardigrades survive in space?" -o report.pdf'
    ),
)
app.add_typer(reports.app, name="report")

StateDir = Annotated[Path, typer.Option(help="Folder for everything that survives a restart.")]
_STATE_DIR = Path(".tardigrade")


@app.command()
def local(
    state_dir: StateDir = _STATE_DIR,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="The API. Usually 8080.")] = None,
    temporal_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Temporal. Usually 7233.")] = None,
    temporal_ui_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Its web UI. Usually 8233.")] = None,
    s3_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Object store. Usually 8333.")] = None,
) -> None:
    """Run the whole service on this machine until Ctrl-C; without LLM_API_KEY the model is simulated."""
    from services.cli import local as local_stack

    ports = {"gateway": port, "temporal": temporal_port, "temporal_ui": temporal_ui_port, "s3": s3_port}
    local_stack.run(state_dir, ports)


@app.command(hidden=True)
def demo(state_dir: StateDir = _STATE_DIR) -> None:
    """Make one report on a local stack of its own and say where it is: `make demo`."""
    from services.cli import demo as one_report

    raise typer.Exit(one_report.run(state_dir))


@app.command(hidden=True)
def demo_crash(state_dir: StateDir = _STATE_DIR / "demo-crash") -> None:
    """Kill things and count what the provider billed: `make demo-crash`."""
    from services.cli import demo_crash as crashes

    raise typer.Exit(crashes.run(state_dir))


@app.command()
def doctor(
    state_dir: StateDir = _STATE_DIR,
    url: Annotated[str | None, typer.Option(envvar="TARDIGRADE_URL", help="Address of the gateway.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> None:
    """Look at Temporal, the workers, the object store and the key; exits 1 if something is amiss."""
    from dataclasses import asdict

    from services.cli import doctor as checks
    from services.cli import show

    findings = checks.run(url, state_dir)
    if json:
        show.out_json([asdict(finding) for finding in findings])
    else:
        checks.print_findings(findings)
    raise typer.Exit(Exit.OK if all(finding.ok for finding in findings) else Exit.FAILED)


@app.command()
def render(
    source: Annotated[Path, typer.Argument(metavar="FILE.md", exists=True, dir_okay=False, help="Markdown.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The PDF; usually beside FILE.md.")] = None,
    paper: Annotated[str | None, typer.Option(help="a4 or letter.")] = None,
    language: Annotated[str | None, typer.Option(help="BCP 47 tag.")] = None,
    title: Annotated[str | None, typer.Option(help="Title on the cover.")] = None,
) -> None:
    """Set a Markdown file as a PDF, as the PDF worker would; needs the extra `pdf`."""
    if importlib.util.find_spec("reportlab") is None:
        raise CommandError(
            f"{source} was not rendered",
            "The PDF worker is not installed.",
            "pip install 'tardigrade[pdf]'.",
            Exit.USAGE,
        )
    argv = [sys.executable, "-m", "services.pdf_worker.render_file", str(source)]
    for name, value in (("-o", output), ("--paper", paper), ("--language", language), ("--title", title)):
        argv += [name, str(value)] if value else []
    raise typer.Exit(subprocess.run(argv, check=False).returncode)  # noqa: S603  our own module


@app.command()
def version() -> None:
    """Print the version."""
    sys.stdout.write(f"{importlib.metadata.version('tardigrade')}\n")


def main() -> None:
    """Run the command; what goes wrong ends in three lines and an exit code, not in a traceback."""
    try:
        app()
    except CommandError as error:
        from services.cli import show

        show.error(error)
        sys.exit(error.code)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has seen enough; Python must not complain when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)


if __name__ == "__main__":
    main()
