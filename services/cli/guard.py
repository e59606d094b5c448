"""No child outlives its parent: a guard process ends them when the parent is gone, however it went.

The guard reads a pipe whose only other end the parent holds. When the parent ends, by SIGKILL too, the kernel closes
the pipe and the guard ends every process group that it was told of. Linux has `PR_SET_PDEATHSIG` for this, but that
follows the thread that forked, not the process, and other systems lack it.

The file is also the guard's program; it runs without `site`, so it may import nothing but the standard library.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

GRACE_SECONDS = 3.0
"""Between SIGTERM and SIGKILL: enough for the servers to close their files, too short to be left waiting for."""


class Guard:
    """The parent's side."""

    def __init__(self) -> None:
        """Start the guard process."""
        # A session of its own: Ctrl-C in the terminal must not end it before its children.
        self._process = subprocess.Popen(  # noqa: S603  our own file, by our own interpreter
            [sys.executable, "-I", "-S", str(Path(__file__).resolve())], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, process_group: int) -> None:
        """End this group when the parent is gone."""
        self._tell(f"+{process_group}")

    def forget(self, process_group: int) -> None:
        """The group has ended; its number may be given to somebody else's process."""
        self._tell(f"-{process_group}")

    def close(self) -> None:
        """End the guard, and with it whatever it still watches."""
        self._process.communicate()

    def _tell(self, line: str) -> None:
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            return
        # A guard that was killed protects nothing any more, which is no reason to stop what it guarded.
        with contextlib.suppress(BrokenPipeError):
            pipe.write(f"{line}\n".encode())
            pipe.flush()


def _signal(groups: set[int], number: signal.Signals) -> None:
    for group in sorted(groups):
        try:
            os.killpg(group, number)
        except (ProcessLookupError, PermissionError):
            groups.discard(group)


def _main() -> None:
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    deadline = time.monotonic() + GRACE_SECONDS
    _signal(groups, signal.SIGTERM)
    while groups and time.monotonic() < deadline:
        time.sleep(0.1)
        _signal(groups, signal.SIGCONT)  # finds those that have ended, and wakes one that was stopped, to hear SIGTERM
    _signal(groups, signal.SIGKILL)


if __name__ == "__main__":
    _main()
