"""`tardigrade local`: the whole service on this machine until Ctrl-C."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli import provider, show
from services.cli.exits import CommandError, Exit
from services.cli.ports import is_free
from services.cli.process import ProcessNotReadyError
from services.cli.programs import MissingProgramError
from services.cli.stack import LocalStack, StackInUseError

STATE_DIR = Path(".tardigrade")
ENV_FILE = "local.env"
"""In the state folder while a stack runs: what `tardigrade doctor` needs to look at it."""

_USUAL_PORTS = {"gateway": 8080, "temporal": 7233, "temporal_ui": 8233, "s3": 8333}
_SHORTEST_LIFE_SECONDS = 5.0
"""A part that ended by itself sooner after its start will end again."""


def run(state_dir: Path, ports: Mapping[str, int | None]) -> None:
    """Start the stack, print where everything is, start again what is killed, and stop all on Ctrl-C.

    Args:
        state_dir: See `LocalStack`.
        ports: For each of `gateway`, `temporal`, `temporal_ui`, `s3` a port, or `None` for the usual one.

    Raises:
        CommandError: The stack could not be started, or a part keeps ending.
    """
    console = show.stderr()
    chosen = {name: _port(name, port) for name, port in ports.items()}
    model = provider.from_environment()
    if model.hint:
        console.print(Text.assemble(("note ", "yellow"), model.hint), soft_wrap=True)
    signal.signal(signal.SIGTERM, _interrupt)
    with told(state_dir):
        stack = LocalStack(
            state_dir,
            simulator=model.simulated,
            simulator_options=provider.SIMULATOR_PACE,
            llm_env=model.env,
            gateway_port=chosen["gateway"],
            temporal_port=chosen["temporal"],
            temporal_ui_port=chosen["temporal_ui"],
            s3_port=chosen["s3"],
        )
        env_file = stack.state_dir / ENV_FILE
        try:
            begun = time.monotonic()
            with console.status("Starting Temporal, the object store, the workers and the gateway"):
                stack.start()
            console.print(
                f"Ready after {time.monotonic() - begun:.1f} s, with {model.label}. Ctrl-C stops everything.\n"
            )
            _write_env(env_file, stack)
            _print_addresses(stack)
            _supervise(stack, console)
        except KeyboardInterrupt:
            console.print("\nStopping. What is not finished goes on at the next start.")
        finally:
            with _uninterrupted():
                stack.stop()
                env_file.unlink(missing_ok=True)


@contextlib.contextmanager
def told(state_dir: Path) -> Iterator[None]:
    """Turn what can go wrong with a stack into errors that say what to do."""
    try:
        yield
    except MissingProgramError as error:
        raise CommandError(
            "The local stack cannot start", str(error), "Then run the command again.", Exit.USAGE
        ) from error
    except StackInUseError as error:
        raise CommandError(
            "The local stack cannot start", str(error), "`tardigrade report` can use the one that runs.", Exit.USAGE
        ) from error
    except ProcessNotReadyError as error:
        what, _, log = str(error).partition("\n")
        show.stderr().print(Text(log), style="dim", soft_wrap=True)
        raise CommandError(
            "The local stack cannot start", what, f"Its log is above, and whole in {state_dir}/logs."
        ) from error


def _port(name: str, wanted: int | None) -> int | None:
    """Return the port to use; `None` takes a free one, where the usual one is taken."""
    if wanted is not None and not is_free(wanted):
        raise CommandError(
            "The local stack cannot start",
            f"Port {wanted} is taken.",
            f"Give another with --{name.replace('_', '-')}-port.".replace("--gateway-port", "--port"),
            Exit.USAGE,
        )
    return wanted or next((port for port in [_USUAL_PORTS[name]] if is_free(port)), None)


def _print_addresses(stack: LocalStack) -> None:
    addresses = {
        "API": stack.gateway_url,
        "Temporal's web UI": stack.temporal_ui_url,
        "Temporal": stack.temporal_address,
        "Object store": stack.s3_endpoint,
        "State and logs": str(stack.state_dir),
    }
    if stack.simulator.running:
        addresses["Simulator's bill"] = f"{stack.simulator_url}/billing"
    for name, address in addresses.items():
        show.out(f"{name + ':':18} {address}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("PART", "PID", "PROBES AND METRICS"):
        table.add_column(name, no_wrap=True)
    for process in stack.processes:
        table.add_row(
            process.name, str(process.pid), "" if process in (stack.temporal, stack.object_store) else process.url
        )
    console = show.stderr()
    console.print()
    console.print(table)
    console.print("\nEach part is a process of its own: kill one, and watch its report go on.")
    default = stack.gateway_url.endswith(f":{_USUAL_PORTS['gateway']}")
    setting = "" if default else f"TARDIGRADE_URL={stack.gateway_url} "
    console.print(f'Try:  {setting}tardigrade report create "How do tardigrades survive?" -o .\n', soft_wrap=True)


def _supervise(stack: LocalStack, console: Console) -> None:
    """Start again what ends, as Kubernetes would."""
    born = dict.fromkeys((process.name for process in stack.processes), time.monotonic())
    while True:
        for process in stack.processes:
            if process.running:
                continue
            how, life = _how(process.exit_code), time.monotonic() - born[process.name]
            killed = (process.exit_code or 0) < 0  # by somebody who watches what happens then
            if life < _SHORTEST_LIFE_SECONDS and not killed:
                raise process.not_ready(f"ended {how} {life:.0f} s after its start")
            process.start()
            born[process.name] = time.monotonic()
            console.print(f"{process.name} ended {how}; started again, now process {process.pid}")
        time.sleep(0.2)


def _how(code: int | None) -> str:
    return f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with exit code {code}"


def _write_env(path: Path, stack: LocalStack) -> None:
    lines = [f"{name}={value}\n" for name, value in {**stack.temporal_env, **stack.s3_env}.items()]
    lines.append(f"TARDIGRADE_URL={stack.gateway_url}\n")
    lines.append(f"LLM_API_KEY={'simulated' if stack.simulator.running else 'set'}\n")
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(lines)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let the stop run to its end, which takes seconds, whatever key is pressed."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
