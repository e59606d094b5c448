"""A small world for the ledger: a store that honours conditions, a provider that bills, workers that die or freeze.

Time is virtual: when every task waits, the clock jumps to the next timer, so a lease of 15 seconds costs nothing.
"""

import asyncio
import selectors
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

from services.contracts.errors import ErrorType
from services.contracts.llm import Usage
from services.llm_worker.errors import CallError
from services.llm_worker.ledger import Caller, Entry, LeaveError, Ledger
from services.llm_worker.provider import Limits, Piece, Resume, ResumeRefusedError
from services.llm_worker.register import Register, State
from services.runtime.object_store import (
    ObjectMissingError,
    ObjectStoreError,
    PreconditionFailedError,
    StoredObject,
    WriteConflictError,
)

T = TypeVar("T")
KEY = "ledger/report-00000000000000000000/research/0.json"
HEARTBEAT_TIMEOUT = 10.0
PIECES = 12
PIECE_SECONDS = 0.4


class _Selector(selectors.DefaultSelector):
    """Instead of waiting, moves the loop's clock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("every task waits for ever")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still while anything runs."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run(scenario: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a scenario in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scenario())


@dataclass
class Bucket:
    """The store. Operations take 5 ms; `skew` is how far its clock is off, which must not matter."""

    data: bytes | None = None
    etag: int = 0
    written: float = 0.0
    recorded: list[bytes] = field(default_factory=list)
    recorded_at: float | None = None
    etag_reused: bool = False

    def put(self, data: bytes, etag: str | None) -> str:
        held = None if self.data is None else str(self.etag)
        if held != etag:
            raise (ObjectMissingError if self.data is None else PreconditionFailedError)("condition")
        self.data, self.etag = data, self.etag + 1
        self.written = float(int(asyncio.get_running_loop().time()))  # Last-Modified has whole seconds
        if Register.decode(data).state is State.DONE:
            self.recorded.append(data)
            self.recorded_at = asyncio.get_running_loop().time()
        return str(self.etag)

    def read(self) -> StoredObject:
        if self.data is None:
            raise ObjectMissingError("none")
        now = float(int(asyncio.get_running_loop().time()))
        return StoredObject(self.data, str(self.etag), now - self.written)


@dataclass
class Purchase:
    """One request that the provider billed."""

    number: int
    at: float
    prefix: str
    sent_pieces: int = 0
    finished: bool = False


class World:
    """Everything that outlives a worker."""

    def __init__(self, kind: str = "plain", *, refuse_resume: bool = False) -> None:
        self.kind = kind
        self.refuse_resume = refuse_resume
        self.bucket = Bucket()
        self.purchases: list[Purchase] = []
        self.responses: dict[str, tuple[int, float]] = {}
        self.fetches = 0
        self.ended = asyncio.Event()

    @staticmethod
    def answer(number: int) -> str:
        """Return the text of a purchase: each bought answer is another one, so that a torn one shows."""
        return "".join(World.pieces(number))

    @staticmethod
    def pieces(number: int) -> list[str]:
        return [f"#{number}:{index} déjà-vu 緩步 " for index in range(PIECES - 1)] + [f"end{number}."]

    def complete_texts(self) -> set[str]:
        return {self.answer(purchase.number) for purchase in self.purchases}


@dataclass
class Machine:
    """A worker's process: it can be killed at a point, or frozen there for a while."""

    world: World
    plan: dict[str, tuple[str, float]] = field(default_factory=dict)
    dead: bool = False
    faults: dict[int, str] = field(default_factory=dict)
    operations: int = 0
    frozen_until: float = 0.0

    async def point(self, name: str) -> None:
        """Pass a point where the scenario may kill or freeze the process."""
        action, seconds = self.plan.pop(name, ("", 0.0))
        if action == "kill":
            self.dead = True
        if action == "freeze":
            self.frozen_until = asyncio.get_running_loop().time() + seconds
        await self.breathe()

    async def breathe(self) -> None:
        if self.dead:
            await self.world.ended.wait()  # no code of a dead process runs until the test cleans up
            raise asyncio.CancelledError
        await asyncio.sleep(max(0.0, self.frozen_until - asyncio.get_running_loop().time()))

    async def operate(self, operation: Callable[[], T]) -> T:
        """Do an operation on the store with the fault planned for it."""
        await self.breathe()
        fault = self.faults.get(self.operations, "")
        self.operations += 1
        await asyncio.sleep(0.005)
        await self.breathe()
        if fault == "refused":
            raise ObjectStoreError("the store is away")
        if fault == "conflict":
            raise WriteConflictError("409")
        result = operation()
        if fault == "lost":  # the write went through, the response did not; the client retries and gets a 412
            operation()
        await asyncio.sleep(0.002)
        await self.breathe()
        return result

    # -- services.llm_worker.ledger.Store
    async def read(self, key: str) -> StoredObject:
        assert key == KEY
        return await self.operate(self.world.bucket.read)

    async def put_if(self, key: str, data: bytes, etag: str | None) -> str:
        assert key == KEY
        done = Register.decode(data).state is State.DONE
        if done:
            await self.point("before-record")
        result = await self.operate(lambda: self.world.bucket.put(data, etag))
        await self.point("after-record" if done else "after-write")
        return result

    # -- services.llm_worker.provider.Provider
    def resume(self, register: Register) -> Resume | None:
        if self.world.kind == "background" and register.response_id:
            return Resume(response_id=register.response_id, cursor=register.cursor)
        if self.world.kind == "prefix" and register.text:
            return Resume(prefix=register.text)
        return None

    async def stream(self, resume: Resume | None) -> AsyncGenerator[Piece]:
        await self.point("before-send")
        if resume is not None and self.world.refuse_resume:
            raise ResumeRefusedError
        if resume is not None and resume.response_id:
            async for piece in self._background(resume.response_id, resume.cursor):
                yield piece
            return
        prefix = resume.prefix if resume else ""
        purchase = self._buy(prefix)
        await asyncio.sleep(PIECE_SECONDS)
        await self.point("after-send")
        if self.world.kind == "background":
            response = f"resp_{purchase.number}"
            self.world.responses[response] = (purchase.number, asyncio.get_running_loop().time())
            yield Piece(response_id=response, cursor=0)
            await self.point("after-id")
            async for piece in self._background(response, 0):
                yield piece
            return
        rest = World.answer(purchase.number)[len(prefix) :]
        for text in _split(rest):
            await asyncio.sleep(PIECE_SECONDS)
            await self.breathe()
            purchase.sent_pieces += 1
            if purchase.sent_pieces == 5:
                await self.point("mid-stream")
            yield Piece(text=text)
        purchase.finished = True
        yield Piece(finish_reason="stop", usage=Usage(7 + len(_split(prefix)), purchase.sent_pieces), model="m")
        await self.point("after-last-token")

    def _buy(self, prefix: str) -> Purchase:
        number = len(self.world.purchases)
        if prefix:  # the provider goes on with the text it is given
            number = int(prefix[1 : prefix.index(":")])
        purchase = Purchase(number, asyncio.get_running_loop().time(), prefix)
        self.world.purchases.append(purchase)
        return purchase

    async def _background(self, response: str, cursor: int) -> AsyncGenerator[Piece]:
        number, begun = self.world.responses[response]
        self.world.fetches += 1
        for index, text in enumerate(World.pieces(number), start=1):
            if index <= cursor:
                continue
            due = begun + index * PIECE_SECONDS  # it runs on at the provider, whether anybody reads or not
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            await self.breathe()
            if index == 5:
                await self.point("mid-stream")
            yield Piece(text=text, cursor=index)
        yield Piece(finish_reason="stop", usage=Usage(7, PIECES), model="m", cursor=PIECES + 1)
        await self.point("after-last-token")

    def estimate(self, register: Register) -> Usage:
        kept = register.attempt.kept_pieces
        return Usage(7 + kept, max(0, register.pieces - kept), estimated=True)

    def price(self, usage: Usage) -> float | None:
        return usage.input_tokens * 0.001 + usage.output_tokens * 0.002


def _split(text: str) -> list[str]:
    """Split a text where the provider's tokens end."""
    parts = text.split(" ")
    return [part + " " for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def caller(**changes: Any) -> Caller:
    """Return a caller that admits everything."""
    return Caller(**{"admit": lambda _: None, "booked": lambda _: None, "leave": asyncio.Event(), **changes})


@dataclass
class Story:
    """What came of a scenario."""

    entries: list[Entry] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def durable(world: World, machines: list[Machine], *, rebuy_limit: int = 2, attempts: int = 12) -> Story:
    """Run one call as Temporal would: an attempt that fails is retried, one that goes silent is given up and retried.

    An attempt that was given up goes on where its process lives: that is the zombie.
    """
    story = Story()
    spares = iter(machines)
    running: list[asyncio.Task[Entry]] = []
    for _ in range(attempts):
        machine = next(spares, None) or Machine(world)
        limits = Limits(first_token=30, idle=30, whole=600)
        ledger = Ledger(machine, limits, rebuy_limit=rebuy_limit)
        task = asyncio.create_task(ledger.call(KEY, machine, caller()))
        running.append(task)
        while not task.done():
            await asyncio.wait({task}, timeout=1.0)
            silent = machine.dead or machine.frozen_until > asyncio.get_running_loop().time()
            if not task.done() and silent:
                await asyncio.wait({task}, timeout=HEARTBEAT_TIMEOUT)
                break
        if task.done():
            try:
                task.result()
                break
            except (CallError, ObjectStoreError, LeaveError) as error:
                story.errors.append(f"{type(error).__name__}: {error}")
                if isinstance(error, CallError) and error.permanent:
                    break
            await asyncio.sleep(timedelta(seconds=1).total_seconds())
    else:
        story.errors.append("out of attempts")
    # Zombies wake up and end; the dead stay dead.
    await asyncio.wait(running, timeout=120)
    story.entries.extend(task.result() for task in running if task.done() and task.exception() is None)
    world.ended.set()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    return story


def fault_error(error_type: ErrorType) -> CallError:
    """Return a retryable error of the provider that billed nothing."""
    return CallError(error_type, "no", permanent=False, billed=False)
