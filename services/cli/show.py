"""What people see: data on stdout, everything else on stderr."""

import json
import re
import sys
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli.client import Report
from services.cli.exits import CommandError

_COLOURS = {"completed": "green", "failed": "red", "cancelled": "yellow", "in_progress": "cyan"}

# A title or an error comes from a model or a provider: without this it could drive the terminal.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+")


def plain(text: object) -> str:
    """Return a text on one line and without control characters."""
    return _CONTROL.sub(" ", str(text)).strip()


def stderr() -> Console:
    """Return the console for messages; it honours `NO_COLOR` and knows whether stderr is a terminal."""
    return Console(stderr=True, highlight=False)


def out(line: str) -> None:
    """Write a line of data."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def out_json(value: object) -> None:
    """Write data as JSON."""
    out(json.dumps(value, indent=2, ensure_ascii=False))


def error(problem: CommandError) -> None:
    """Write what happened, why, and what to do."""
    console = stderr()
    console.print(Text.assemble(("error: ", "bold red"), plain(problem.what)), soft_wrap=True)
    console.print(Text(f"  why: {plain(problem.why)}"), soft_wrap=True)
    console.print(Text(f"   do: {plain(problem.remedy)}"), soft_wrap=True)


def money(spend: dict[str, Any] | None, *, simulated: bool = False) -> str:
    """Return what a report's calls came to, in words."""
    if not spend or not spend.get("calls"):
        return "nothing yet"
    tokens = f"{spend['input_tokens']:,} tokens in, {spend['output_tokens']:,} out"
    if simulated:
        return f"{tokens}; simulated, so nothing was paid"
    if spend.get("wasted_tokens"):
        tokens += f", {spend['wasted_tokens']:,} of them wasted"
    return f"{tokens}, price unknown" if spend.get("cost_usd") is None else f"${spend['cost_usd']:.4f} ({tokens})"


def count(number: int, thing: str) -> str:
    """Return `1 page` or `2 pages`."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def local_time(stamp: str | None) -> str:
    """Return an RFC 3339 time in the reader's own time zone, to the second."""
    if not stamp:
        return ""
    return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def reports(page: list[Report]) -> None:
    """Write a list: a table on a terminal, tab-separated lines elsewhere."""
    rows = [
        (report["id"], report["status"], report["stage"], local_time(report["created_at"])[:16], plain(report["title"]))
        for report in page
    ]
    if not sys.stdout.isatty():
        for row in rows:
            out("\t".join(row))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    for number, name in enumerate(("ID", "STATUS", "STAGE", "CREATED")):
        table.add_column(name, no_wrap=True, min_width=max(len(row[number]) for row in rows))
    table.add_column("TITLE", no_wrap=True, overflow="ellipsis", ratio=1)
    for report_id, status, *rest in rows:
        table.add_row(report_id, Text(status, style=_COLOURS.get(status, "")), *(Text(cell) for cell in rest))
    Console(highlight=False).print(table)


def report(one: Report) -> None:
    """Write one report, a line a fact."""
    failure = one.get("error") or one.get("last_failure")
    facts: dict[str, object] = {
        "id": one["id"],
        "title": one["title"],
        "status": one["status"],
        "stage": one["stage"] + (f" (attempt {one['attempt']})" if one.get("attempt", 1) > 1 else ""),
        "created": local_time(one["created_at"]),
        "closed": local_time(one.get("closed_at")),
        "model": one.get("model"),
        "spend": money(one.get("spend")),
        "pages": one.get("pages"),
        "size": f"{one['size']:,} bytes" if one.get("size") else None,
        "error" if one.get("error") else "last failure": failure and f"{failure['type']}: {failure['message']}",
        "temporal": one["links"].get("temporal"),
    }
    if one.get("prompt"):
        facts["prompt"] = one["prompt"]
    console = Console(highlight=False)
    for name, value in facts.items():
        if value:
            console.print(Text.assemble((f"{name + ':':14}", "bold"), plain(value)), soft_wrap=True)
    for warning in one.get("warnings") or []:
        console.print(Text.assemble((f"{'warning:':14}", "bold yellow"), plain(warning)), soft_wrap=True)
