"""The renderer process: limits from outside, ended on a cancel, replaced when it is lost."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator

import psutil
import pytest

from services.pdf_worker.isolation import RendererLostError, RendererPool
from services.pdf_worker.limits import DocumentError, Limits
from services.pdf_worker.model import DocumentInfo

INFO = DocumentInfo(title="")
LONG = "word " * 20_000 + "\n\n" + "A paragraph of words.\n\n" * 20_000


@pytest.fixture
async def pool() -> AsyncIterator[RendererPool]:
    made = RendererPool(size=1)
    yield made
    await made.close()


def renderers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "services.pdf_worker.child" in " ".join(child.cmdline())]


async def test_renders_as_in_process_and_keeps_the_process(pool: RendererPool) -> None:
    from services.pdf_worker.document import render

    text = "# Title\n\nText."
    first = await pool.render(text, INFO)
    before = renderers()
    second = await pool.render(text, INFO)
    assert first == second == render(text, INFO)
    assert renderers() == before
    assert len(before) == 1


async def test_reports_progress(pool: RendererPool) -> None:
    pages: list[int] = []
    rendered = await pool.render("Some words.\n\n" * 2_000, INFO, on_page=pages.append)
    assert pages == list(range(10, rendered.pages + 1, 10))
    assert len(pages) >= 2


async def test_time_limit_kills_and_the_next_document_is_rendered(pool: RendererPool) -> None:
    await pool.warm()
    [lost] = renderers()
    with pytest.raises(DocumentError, match=r"took longer than 0\.2 s.*ask for"):
        await pool.render(LONG, INFO, limits=Limits(seconds=0.2))
    assert not lost.is_running()
    assert (await pool.render("after", INFO)).pages == 1


async def test_memory_limit_ends_the_process_and_the_next_document_is_rendered(pool: RendererPool) -> None:
    limits = Limits(memory=24 * 2**20)
    with pytest.raises(DocumentError, match="more than 24 MiB of memory"):
        await pool.render(LONG, INFO, limits=limits)
    assert (await pool.render("after", INFO, limits=limits)).pages == 1


async def test_cancel_ends_the_process_at_once(pool: RendererPool) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(pool.render(LONG, INFO, on_page=lambda _: started.set()))
    await asyncio.wait_for(started.wait(), 60)
    [child] = renderers()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not child.is_running()


async def test_a_process_killed_from_outside_is_replaced(pool: RendererPool) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(pool.render(LONG, INFO, on_page=lambda _: started.set()))
    await asyncio.wait_for(started.wait(), 60)
    [child] = renderers()
    child.kill()
    with pytest.raises(RendererLostError, match="ended with code -9"):
        await task
    assert (await pool.render("after", INFO)).pages == 1


async def test_a_document_error_of_the_child_is_told_and_the_process_stays(pool: RendererPool) -> None:
    with pytest.raises(DocumentError, match="more than 2 pages"):
        await pool.render("word\n\n" * 500, INFO, limits=Limits(pages=2))
    before = renderers()
    await pool.render("after", INFO)
    assert renderers() == before


async def test_lone_surrogates_cross_the_pipe(pool: RendererPool) -> None:
    assert (await pool.render("a \ud800 b", INFO)).pages == 1


async def test_more_documents_than_processes_wait(pool: RendererPool) -> None:
    rendered = await asyncio.gather(*(pool.render(f"text {number}", INFO) for number in range(8)))
    assert [one.pages for one in rendered] == [1] * 8
    assert len(renderers()) == 1


async def test_close_ends_all_processes() -> None:
    made = RendererPool()
    await made.warm()
    await made.close()
    assert renderers() == []


CONFINED = """
import os, socket, subprocess, sys
from services.pdf_worker.child import confine
from services.pdf_worker.document import DocumentInfo, render
confine()
render("# works $x^2$ \\u0645 \\u6c34", DocumentInfo(title=""))
refused = 0
for attempt in (
    lambda: open("/etc/hostname"),
    lambda: open("/tmp/written", "w"),
    lambda: open("/proc/self/environ"),
    lambda: socket.socket().connect(("127.0.0.1", 9)),
    lambda: subprocess.run(["true"]),
    lambda: os.system("true"),
):
    try:
        attempt()
    except PermissionError:
        refused += 1
print(refused)
"""


def test_the_renderer_process_is_confined() -> None:
    done = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "6"


def test_the_worker_itself_loads_no_layout() -> None:
    heavy = ("reportlab", "markdown_it", "PIL", "uharfbuzz")
    code = f"import services.pdf_worker.isolation, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
