"""One part of the local stack: a process of its own that can be killed like a pod."""

import contextlib
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from services.cli.guard import Guard

TAIL_LINES = 15

# What is asked lies on loopback; a proxy of the environment must not see it.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ProcessNotReadyError(Exception):
    """A part did not become ready. The message says which, why, and ends with the tail of its log."""


class LocalProcess:
    """A child process with a minimal environment, a log file, and an address that tells when it is ready.

    Attributes:
        name: What it is called in messages; the log file's name.
        argv: The program and its arguments.
        env: Its whole environment; nothing is inherited.
        log_path: Where stdout and stderr go, appended, so that a restarted process adds to it.
        url: Its HTTP address; for a worker, the pod port.
    """

    def __init__(
        self, name: str, argv: Sequence[str], env: dict[str, str], *, state_dir: Path, url: str, ready_path: str
    ) -> None:
        """Describe the process; nothing is started.

        Args:
            name: See the class.
            argv: See the class.
            env: See the class.
            state_dir: Its working directory, so that no `.env` of the caller's is read; logs go to `logs/` in it.
            url: See the class.
            ready_path: Path under `url` that answers 200 once the process is ready.
        """
        self.name = name
        self.argv = list(argv)
        self.env = env
        self.url = url
        self.log_path = state_dir / "logs" / f"{name}.log"
        self._state_dir = state_dir
        self._ready_url = url + ready_path
        self._process: subprocess.Popen[bytes] | None = None
        self._group: int | None = None
        self._guard: Guard | None = None

    @property
    def running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process's id, also that of its process group.

        Raises:
            RuntimeError: It does not run.
        """
        if self._process is None or not self.running:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """What it exited with, negative for a signal; `None` while it runs or before it was started."""
        return None if self._process is None else self._process.poll()

    def start(self, guard: Guard | None = None) -> None:
        """Start it.

        Args:
            guard: Ends it when this process is gone; `None`: the one of the last start.

        Raises:
            RuntimeError: It runs already.
        """
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        self._end_group()
        self._guard = guard or self._guard
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  the stack's own programs
                self.argv,
                env=self.env,
                cwd=self._state_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Ctrl-C in the terminal reaches only the parent, which then stops the parts in order.
                start_new_session=True,
            )
        self._group = self._process.pid
        if self._guard is not None:
            self._guard.watch(self._group)

    def ready(self) -> bool:
        """Tell whether it says so itself."""
        try:
            with _OPENER.open(self._ready_url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError, ValueError):
            return False

    def wait_ready(self, deadline_seconds: float = 30) -> None:
        """Wait until it is ready.

        Raises:
            ProcessNotReadyError: It ended, or it was not ready in time.
        """
        deadline = time.monotonic() + deadline_seconds
        while not self.ready():
            self.check_running()
            if time.monotonic() > deadline:
                raise self.not_ready(f"was not ready after {deadline_seconds:.0f} s")
            time.sleep(0.05)

    def check_running(self) -> None:
        """Do nothing if it runs.

        Raises:
            ProcessNotReadyError: It has ended.
        """
        if not self.running:
            raise self.not_ready(f"ended with exit code {self.exit_code}")

    def not_ready(self, reason: str) -> ProcessNotReadyError:
        """Return the error that says why, with the tail of the log."""
        return ProcessNotReadyError(f"{self.name} {reason}.\nThe end of {self.log_path}:\n{self.log_tail()}")

    def log_tail(self, lines: int = TAIL_LINES) -> str:
        """Return the last lines of its log."""
        if not self.log_path.exists():
            return "(no log)"
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it has ended."""
        if self._process is not None:
            self._process.send_signal(number)

    def terminate(self, deadline_seconds: float = 30) -> int:
        """Send SIGTERM, wait for the end, and return the exit code.

        Raises:
            TimeoutError: It still runs.
        """
        self.signal(signal.SIGTERM)
        return self.wait(deadline_seconds)

    def kill(self) -> None:
        """Send SIGKILL to it and to what it started, as the end of a pod does, and wait for the end."""
        self._end_group()

    def wait(self, deadline_seconds: float) -> int:
        """Wait for its end and return the exit code.

        Raises:
            TimeoutError: It still runs.
        """
        process = self._process
        if process is None:
            return 0
        try:
            process.wait(deadline_seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {deadline_seconds:.0f} s") from None
        self._end_group()
        return process.returncode

    def restart(self, deadline_seconds: float = 30) -> None:
        """Stop it if it runs, start it again, and wait until it is ready.

        Raises:
            ProcessNotReadyError: It did not come back.
            TimeoutError: It did not stop.
        """
        if self.running:
            self.terminate(deadline_seconds)
        self.start()
        self.wait_ready(deadline_seconds)

    def _end_group(self) -> None:
        """Kill what is left of the process group, once: afterwards its number may be another's."""
        if self._process is None or self._group is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGKILL)
        self._process.wait()
        if self._guard is not None:
            self._guard.forget(self._group)
        self._group = None
