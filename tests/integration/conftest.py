"""Fixtures around the local stack: every part a real process, every port on loopback.

A test that kills, stops or reconfigures something makes its own stack (`make_stack`); all others share one (`stack`).
"""

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from services.cli.stack import LocalStack

T = TypeVar("T")
_started: list[LocalStack] = []


class MakeStack(Protocol):
    """Makes a stack with a state folder of its own and starts it; the options are `LocalStack`'s."""

    def __call__(self, state_dir: Path | None = None, *, start: bool = True, **options: Any) -> LocalStack: ...


class WaitUntil(Protocol):
    """Waits until a condition returns something true, and returns that; fails at the deadline, naming `what`."""

    def __call__(self, condition: Callable[[], T], deadline_seconds: float = 30, *, what: str = "") -> T: ...


@pytest.fixture(scope="session")
def wait_until() -> WaitUntil:
    def wait(condition: Callable[[], T], deadline_seconds: float = 30, *, what: str = "") -> T:
        deadline = time.monotonic() + deadline_seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                pytest.fail(f"not within {deadline_seconds} s: {what or condition}")
            time.sleep(0.05)
        return value

    return wait


def _maker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStack]:
    made: list[LocalStack] = []

    def make(state_dir: Path | None = None, *, start: bool = True, **options: Any) -> LocalStack:
        options.setdefault("web_ui", False)
        one = LocalStack(state_dir or tmp_path_factory.mktemp("stack"), **options)
        made.append(one)
        _started.append(one)
        if start:
            one.start()
        return one

    yield make
    for one in reversed(made):
        one.stop(grace_seconds=3)
        _started.remove(one)


@pytest.fixture
def make_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeStack]:
    """For a test that disturbs; everything ends with the test."""
    yield from _maker(tmp_path_factory)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """The shared one, with the zero-delay simulator. Leave it as you found it."""
    for make in _maker(tmp_path_factory):
        yield make()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the tail of every log with a failure."""
    report = yield
    if report.failed:
        report.sections += [(f"logs in {one.state_dir}", one.log_tails()) for one in _started]
    return report
