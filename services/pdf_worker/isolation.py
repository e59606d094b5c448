"""Rendering in a process that can be ended: bounded memory, bounded time, at once on a cancel.

Renderer processes are started once and used again and again (starting one costs about half a second). One that passed
a limit, or was cancelled, is killed and replaced.
"""

import asyncio
import contextlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from weakref import WeakKeyDictionary

from services.pdf_worker.frames import DONE, ERROR, HEADER, OUT_OF_MEMORY, PAGES, READY, REQUEST, pack
from services.pdf_worker.limits import DocumentError, Limits
from services.pdf_worker.model import DocumentInfo, Rendered

LARGEST = 200 * 1024 * 1024
"""Bytes of one answer; a report of 2,000 pages has about 10 MB."""

RETIRE_ABOVE = 250 * 1024 * 1024
"""A process whose memory once grew beyond this many bytes is replaced, since Python hands little of it back."""

START_SECONDS = 60.0


DEFAULT = Limits()


class RendererLostError(Exception):
    """The renderer process ended by itself (killed from outside, out of memory in the pod); trying again is right."""


class _Renderer:
    def __init__(self, process: Process, memory: int) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("a renderer process needs pipes")
        self.process = process
        self.memory = memory
        self.requests, self.answers = process.stdin, process.stdout
        self.usable = True

    @classmethod
    async def start(cls, memory: int) -> "_Renderer":
        environment = {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "PYTHONHASHSEED": "0",
            "LC_ALL": "C.UTF-8",
        }
        # A session of its own: a signal to the worker's group (Ctrl-C, a pod's SIGTERM) lets it finish its document.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.pdf_worker.child",
            str(memory),
            stdin=PIPE,
            stdout=PIPE,
            env=environment,
            start_new_session=True,
        )
        renderer = cls(process, memory)
        try:
            async with asyncio.timeout(START_SECONDS):
                kind, _, _ = await renderer.receive()
        except BaseException:
            await renderer.kill()
            raise
        if kind != READY:
            await renderer.kill()
            raise RendererLostError("the renderer process did not say that it is ready")
        return renderer

    async def receive(self) -> tuple[bytes, dict[str, Any], bytes]:
        try:
            kind, head_size, body_size = HEADER.unpack(await self.answers.readexactly(HEADER.size))
            if head_size + body_size > LARGEST:
                raise RendererLostError(f"the renderer answered {head_size + body_size} bytes, more than {LARGEST}")
            head = json.loads(await self.answers.readexactly(head_size))
            return kind, head, await self.answers.readexactly(body_size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            code = await self.process.wait()
            if code == OUT_OF_MEMORY:
                raise DocumentError(
                    f"rendering needed more than {self.memory // 2**20} MiB of memory: the text holds something out of "
                    "proportion (a giant table, image or formula); ask for a simpler report"
                ) from error
            raise RendererLostError(f"the renderer ended with code {code} before its answer was complete") from error

    async def render(
        self, markdown: str, info: DocumentInfo, limits: Limits, on_page: Callable[[int], None] | None
    ) -> Rendered:
        head = {"info": asdict(info), "limits": asdict(limits)}
        self.requests.write(pack(REQUEST, head, markdown.encode("utf-8", "surrogatepass")))
        try:
            await self.requests.drain()
        except ConnectionError as error:
            raise RendererLostError("the renderer process is gone") from error
        while True:
            kind, answer, body = await self.receive()
            if kind == PAGES:
                if on_page is not None:
                    on_page(int(answer["pages"]))
            elif kind == DONE:
                self.usable = int(answer["peak"]) <= RETIRE_ABOVE
                return Rendered(body, int(answer["pages"]), [str(text) for text in answer["fallbacks"]])
            elif kind == ERROR:
                raise DocumentError(str(answer["message"]))

    async def kill(self) -> None:
        self.usable = False
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
        await self.process.wait()
        self.process._transport.close()  # type: ignore[attr-defined]


class RendererPool:
    """Renderer processes, at most as many as there are processors; a request beyond that waits."""

    def __init__(self, size: int | None = None) -> None:
        self._free = asyncio.Semaphore(size or len(os.sched_getaffinity(0)))
        self._idle: list[_Renderer] = []

    async def warm(self, memory: int = DEFAULT.memory) -> None:
        """Start the first process now, so that the first document does not wait for it."""
        if not self._idle:
            async with self._free:
                self._idle.append(await _Renderer.start(memory))

    async def render(
        self,
        markdown: str,
        info: DocumentInfo,
        *,
        on_page: Callable[[int], None] | None = None,
        limits: Limits = DEFAULT,
    ) -> Rendered:
        """Render in a child process; see `render_isolated`."""
        if len(markdown) > limits.characters:
            raise DocumentError(
                f"the text has {len(markdown)} characters, more than the {limits.characters} that one report may have: "
                "ask for a shorter report or split it into several"
            )
        async with self._free:
            renderer = await self._take(limits.memory)
            try:
                async with asyncio.timeout(limits.seconds):
                    result = await renderer.render(markdown, info, limits, on_page)
            except TimeoutError:
                await renderer.kill()
                raise DocumentError(
                    f"rendering took longer than {limits.seconds:g} s: the text holds something out of proportion "
                    "(a giant table, deeply nested marks); ask for a simpler or shorter report"
                ) from None
            except DocumentError:
                await self._give_back(renderer)
                raise
            except BaseException:
                await renderer.kill()
                raise
            await self._give_back(renderer)
            return result

    async def _take(self, memory: int) -> _Renderer:
        while self._idle:
            renderer = self._idle.pop()
            if renderer.process.returncode is None:
                return renderer
            await renderer.kill()
        return await _Renderer.start(memory)

    async def _give_back(self, renderer: _Renderer) -> None:
        if renderer.usable and renderer.process.returncode is None:
            self._idle.append(renderer)
        else:
            await renderer.kill()

    async def close(self) -> None:
        """End the processes that wait for work."""
        while self._idle:
            await self._idle.pop().kill()


_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, RendererPool] = WeakKeyDictionary()


def pool() -> RendererPool:
    """The pool of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _pools.get(loop)
    if found is None:
        found = _pools[loop] = RendererPool()
    return found


async def render_isolated(
    markdown: str,
    info: DocumentInfo,
    *,
    on_page: Callable[[int], None] | None = None,
    limits: Limits = DEFAULT,
) -> Rendered:
    """Render Markdown to PDF in a child process.

    Args:
        markdown: The text, from anybody.
        info: Title, language, paper and so on.
        on_page: Called in this process with the pages drawn so far, every ten pages.
        limits: Bounds; `seconds` and `memory` are enforced from outside and by the kernel.

    Raises:
        DocumentError: A limit was passed: the same text would fail again.
        RendererLostError: The process was ended from outside: trying again is right.
        asyncio.CancelledError: The caller was cancelled; the process has been killed.
    """
    return await pool().render(markdown, info, on_page=on_page, limits=limits)
