"""An audit hook that sees what the process opens and connects to while a document is rendered."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

HARMLESS = tuple(os.path.realpath(path) + os.sep for path in {*sys.path, sys.prefix, sys.base_prefix} if path)
"""Python's own modules and the packages' fonts are loaded when a document first needs them."""

WATCHED = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "urllib.",
    "ftplib.",
    "http.",
    "shutil.",
)

_seen: list[str] = []
_watching = False


def _hook(event: str, args: tuple[object, ...]) -> None:
    if not _watching:
        return
    if event == "open":
        path, mode = args[0], args[1]
        if isinstance(path, int):
            return
        writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
        if writes or not os.path.realpath(os.fsdecode(path)).startswith(HARMLESS):  # type: ignore[arg-type]
            _seen.append(f"open {path!r} {mode}")
    elif event.startswith(WATCHED):
        _seen.append(f"{event} {args!r}")


sys.addaudithook(_hook)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collect every file opened outside the installation, and every socket and process."""
    global _watching
    _seen.clear()
    _watching = True
    try:
        yield _seen
    finally:
        _watching = False
