"""Temporal's servers for the workflow's tests: the development server, and the one that skips time."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

BIN = Path(sys.executable).parent


@pytest.fixture
async def server() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal's development server."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(BIN / "temporal"), dev_server_log_level="error"
    ) as environment:
        yield environment


@pytest.fixture
async def fast_server() -> AsyncIterator[WorkflowEnvironment]:
    """A server on which days of waiting take a second."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(BIN / "temporal-test-server")
    ) as environment:
        yield environment
