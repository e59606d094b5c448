"""`make demo`: from a prompt to a PDF on this machine, and where to look at it."""

import os
import secrets
import time
from pathlib import Path

from rich.text import Text

from services.cli import follow, local, provider, save, show
from services.cli.client import Gateway
from services.cli.exits import CommandError, Exit
from services.cli.stack import LocalStack
from services.contracts.reports import DEFAULT_PROMPT


def run(state_dir: Path) -> Exit:
    """Start the local stack, make one report of `PROMPT`, say where it is and what it cost, and stop the stack.

    Args:
        state_dir: As of `tardigrade local`, which can open it again.

    Raises:
        CommandError: The stack could not be started, or what came is no PDF.
    """
    begun = time.monotonic()
    console = show.stderr()
    model = provider.from_environment()
    if model.hint:
        console.print(Text.assemble(("note ", "yellow"), model.hint), soft_wrap=True)
    prompt = os.environ.get("PROMPT") or DEFAULT_PROMPT
    with local.told(state_dir):
        stack = LocalStack(
            state_dir,
            simulator=model.simulated,
            simulator_options=provider.SIMULATOR_PACE,
            llm_env=model.env,
            web_ui=False,
        )
        console.print(Text.assemble(("Prompt: ", "bold"), show.plain(prompt)), soft_wrap=True)
        console.print(Text.assemble(("Model:  ", "bold"), model.label), soft_wrap=True)
        try:
            with console.status("Starting Temporal, the object store, the workers and the gateway"):
                stack.start()
            console.print(f"{len(stack.processes)} processes are ready after {time.monotonic() - begun:.1f} s.")
            gateway = Gateway(stack.gateway_url)
            report = gateway.create({"prompt": prompt}, secrets.token_hex(16))
            report = follow.follow(gateway, report, verbose=True)
            if report["status"] != "completed":
                return follow.ended(report)
            folder = stack.state_dir / "reports" / report["id"]
            folder.mkdir(parents=True, exist_ok=True)
            pdf = save.save(gateway, report["id"], "pdf", folder, force=True)
        finally:
            with console.status("Stopping"):
                stack.stop()
    if not pdf.read_bytes().startswith(b"%PDF-"):
        raise CommandError(f"{pdf} is no PDF", "It does not begin as one.", f"Look into {stack.state_dir}/logs.")
    console.print(Text.assemble(("Done ", "bold green"), f"after {time.monotonic() - begun:.1f} s.\n"))
    show.out(f"PDF:   {pdf} ({show.count(report['pages'], 'page')}, {report['size']:,} bytes)")
    show.out(f"Cost:  {show.money(report['spend'], simulated=model.simulated)}")
    show.out("Look:  make local  (it opens the same state), then in Temporal's web UI")
    show.out(f"       http://127.0.0.1:8233/namespaces/default/workflows/{report['id']}")
    return Exit.OK
