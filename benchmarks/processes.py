"""What a process and its children use."""

import psutil


def _family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its living children have used."""
    return sum(sum(process.cpu_times()[:2]) for process in _family(pid))


def rss_bytes(pid: int) -> int:
    """Return the resident memory of a process and its children; pages that they share count for each."""
    return sum(process.memory_info().rss for process in _family(pid))


def pss_bytes(pid: int) -> int:
    """Return the same with every shared page counted once, divided among those that share it (Linux)."""
    return sum(process.memory_full_info().pss for process in _family(pid))
