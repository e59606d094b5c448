"""Exit codes, and errors that say what happened, why, and what to do."""

from enum import IntEnum


class Exit(IntEnum):
    """What the command exits with; listed in `tardigrade --help`."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    UNREACHABLE = 4
    CANCELLED = 5
    INTERRUPTED = 130


class CommandError(Exception):
    """Ends the command with three lines on stderr.

    Attributes:
        what: What did not happen.
        why: The reason.
        remedy: What to do about it.
        code: What the command exits with.
    """

    def __init__(self, what: str, why: str, remedy: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(f"{what}: {why}")
        self.what, self.why, self.remedy, self.code = what, why, remedy, code
