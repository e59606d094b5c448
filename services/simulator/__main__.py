"""Run the simulator: `python -m services.simulator --port 0`."""

import argparse
import json
import logging
import os
import signal
import socket
import sys
from dataclasses import fields
from types import FrameType

import uvicorn

from services.simulator.app import create_app
from services.simulator.options import Options

BACKLOG = 2048


class _Server(uvicorn.Server):
    """A server with nothing to finish: a signal ends it at once, with exit code 0."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - the signature is uvicorn's
        logging.disable(logging.CRITICAL)  # the streams that are cut off now would each log a traceback
        self.should_exit = self.force_exit = True


def _stop_early(_signal: int, _frame: FrameType | None) -> None:
    sys.exit(0)


def _not_a_planned_cut(record: logging.LogRecord) -> bool:
    # A response that is left unfinished makes uvicorn close the connection: that is how the fault `cut` is made.
    return "returned without completing response" not in record.getMessage()


def _arguments() -> tuple[argparse.Namespace, Options]:
    parser = argparse.ArgumentParser(
        prog="python -m services.simulator",
        description="An OpenAI-compatible provider that bills nothing and counts everything. See its README.md.",
        epilog="Each option can be set in the environment too: SIMULATOR_ and its name, as in SIMULATOR_ANSWER_TOKENS.",
    )

    def add(name: str, default: object, text: str) -> None:
        variable = "SIMULATOR_" + name.replace("-", "_").upper()
        parser.add_argument(f"--{name}", default=os.environ.get(variable, default), help=f"{text} (default: {default})")

    add("host", "127.0.0.1", "address to listen on")
    add("port", "9090", "port to listen on; 0: any free one, which is printed")
    add("require-key", "", "the only API key that is let in")
    names = [field.name for field in fields(Options)]
    for field in fields(Options):
        add(field.name.replace("_", "-"), field.default, "see README.md")
    arguments = parser.parse_args()
    try:
        options = Options().changed({name: getattr(arguments, name) for name in names})
        if not 0 <= int(arguments.port) < 65536:
            raise ValueError(f"port must be 0 to 65535, not {arguments.port}")
    except ValueError as error:
        parser.error(str(error))
    return arguments, options


def main() -> None:
    """Listen until a signal comes."""
    signal.signal(signal.SIGTERM, _stop_early)  # as PID 1 a process without a handler ignores it
    signal.signal(signal.SIGINT, _stop_early)
    arguments, options = _arguments()
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(_not_a_planned_cut)
    app = create_app(options, arguments.require_key)
    config = uvicorn.Config(
        app,
        access_log=False,
        log_config=None,
        lifespan="off",
        backlog=BACKLOG,
        timeout_graceful_shutdown=0,
        server_header=False,
    )
    family = socket.AF_INET6 if ":" in arguments.host else socket.AF_INET
    try:
        listener = socket.create_server((arguments.host, int(arguments.port)), family=family, backlog=BACKLOG)
    except OSError as error:
        sys.exit(f"cannot listen on {arguments.host}:{arguments.port}: {error.strerror}; choose another --port, or 0")
    # Inherited by every connection. asyncio sets it only where the socket names its protocol, which this one does not;
    # without it a small write waits up to 40 ms for the client's acknowledgement of the one before.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    sys.stdout.write(json.dumps({"event": "listening", "url": f"http://{host}:{listener.getsockname()[1]}"}) + "\n")
    sys.stdout.flush()
    _Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
