"""The renderer process: reads requests on standard input, writes messages to standard output.

Started by `isolation`. It holds no secret, its environment is empty, and once it is ready an audit hook refuses it
sockets, subprocesses, writing to files, and reading anything but the interpreter's own library and fonts.
"""

import gc
import json
import os
import resource
import sys
from typing import BinaryIO

from services.contracts.reports import Paper
from services.pdf_worker.document import DocumentInfo, render
from services.pdf_worker.frames import DONE, ERROR, HEADER, OUT_OF_MEMORY, PAGES, READY, pack
from services.pdf_worker.limits import DocumentError, Limits

REFUSED = (
    "socket.",
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "ctypes.dlopen",
    "urllib.",
    "ftplib.",
    "smtplib.",
    "http.",
)
PAGES_BETWEEN_REPORTS = 10


def confine() -> None:
    """Refuse this process everything that rendering does not need. It cannot be undone."""
    roots = tuple(os.path.realpath(path) + os.sep for path in {*sys.path, sys.prefix, sys.base_prefix} if path)

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "open":
            path, mode = args[0], args[1]
            if isinstance(path, int):
                return
            writes = isinstance(mode, str) and any(letter in mode for letter in "wax+")
            if writes or not os.path.realpath(os.fsdecode(path)).startswith(roots):  # type: ignore[arg-type]
                raise PermissionError(f"the renderer may not open {path!r}")
        elif event.startswith(REFUSED):
            raise PermissionError(f"the renderer may not use {event}")

    sys.addaudithook(hook)


def _warm_up() -> None:
    """Pay once for what every document needs: the parser's rules, the first fonts."""
    render("# Warm *up*\n\nA `line` of **text**.\n\n- item\n\n|a|\n|-|\n|b|\n", DocumentInfo(title=""))


def settle() -> None:
    """Tell the garbage collector that what is there stays for good, and that layout makes few cycles.

    Without this its passes over a long document's lines make the time a page grow with the number of pages.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def _bound_memory(allowed: int) -> None:
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - the hook knows this call
        taken = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + allowed, hard))


class PeakMemory:
    """The most memory that this process has had.

    Linux' `ru_maxrss` starts with what the process had that forked this one, however large that was; `VmHWM` does not.
    """

    def __init__(self) -> None:
        """Open the kernel's account, which a confined process could not."""
        self._status = os.open("/proc/self/status", os.O_RDONLY) if sys.platform == "linux" else -1

    def read(self) -> int:
        """Return it in bytes."""
        if self._status < 0:
            return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        lines = os.pread(self._status, 8192, 0).splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(b"VmHWM:"))


def serve(requests: BinaryIO, answers: BinaryIO, peak: PeakMemory) -> None:
    """Answer requests until the input ends.

    Raises:
        MemoryError: The limit was reached.
    """

    def send(message: bytes) -> None:
        answers.write(message)
        answers.flush()

    send(pack(READY, {}))
    while header := requests.read(HEADER.size):
        _, head_size, body_size = HEADER.unpack(header)
        head = json.loads(requests.read(head_size))
        text = requests.read(body_size).decode("utf-8", "surrogatepass")
        info = DocumentInfo(
            **{**head["info"], "paper": Paper(head["info"]["paper"]), "keywords": tuple(head["info"]["keywords"])}
        )
        limits = Limits(**head["limits"])

        def report(pages: int) -> None:
            if pages % PAGES_BETWEEN_REPORTS == 0:
                send(pack(PAGES, {"pages": pages}))

        try:
            done = render(text, info, on_page=report, limits=limits)
        except DocumentError as error:
            send(pack(ERROR, {"message": str(error)}))
        else:
            send(pack(DONE, {"pages": done.pages, "fallbacks": done.fallbacks, "peak": peak.read()}, done.pdf))


def main() -> None:
    """Serve on standard input and output."""
    sys.setrecursionlimit(6000)
    memory = int(sys.argv[1])
    answers = os.fdopen(os.dup(1), "wb")
    # Whatever prints goes to the log, not into the protocol.
    os.dup2(2, 1)
    _warm_up()
    settle()
    _bound_memory(memory)
    peak = PeakMemory()
    confine()
    try:
        serve(sys.stdin.buffer, answers, peak)
    except MemoryError:
        # There is no memory left to say it in words, and what is left of this process may be half built.
        os._exit(OUT_OF_MEMORY)


if __name__ == "__main__":
    main()
