"""The ledger: an answer that was recorded is never bought again.

Each call of the model has one register object in the store. It is created with `If-None-Match: *`, and every later
write names the last ETag with `If-Match`, so claiming a call, renewing the claim, journalling the text and recording
the answer are one and the same conditional PUT, and an owner that was superseded is fenced out with a 412.

An attempt first tries to create the register. If it is there already, the attempt reads it:

- *Adopt.* It is `done`: the answer is returned and nothing is sent.
- *Wait.* It is `open`, has an owner, and was written within the lease by the store's own clock: another attempt still
  streams. Look again every second. A worker that is asked to stop leaves the wait at once.
- *Buy.* It is free, or its owner let the lease pass: take it over. Only an attempt that holds the register sends, and
  the attempt stands in the register before it sends, so the provider's bill and the registers can be compared.

While the answer streams, a task of its own writes the register every second, with the text so far. That is the journal
from which a later attempt resumes where the provider can continue (`Provider.resume`); otherwise it buys again, at
most `rebuy_limit` times, and the register counts what that threw away.

When the stream has ended the answer is recorded as `done` before anything else happens. If the store fails at that
moment the answer is handed back unrecorded, for Temporal's history to keep.

After a 412 the register is read again: with its own token, the write had gone through and only its response was lost;
`done`, then that answer is adopted; another owner, then this attempt stops and waits for the other, unless it already
holds the complete answer, which it may still record over an open register: the other then adopts it.

A worker that was frozen (SIGSTOP, a paused machine) may wake with a claim that has passed to another. So a claim older
than a few seconds is renewed before anything is sent. What no lease can close is a freeze between that look and the
send itself: such a request is noticed at the next write, a second later, and closed.

This module knows neither litellm nor Temporal. The waiting, the lease and the journal are in whole seconds because the
store's clock is.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from services.contracts.errors import ErrorType
from services.contracts.llm import Outcome
from services.contracts.reports import ObjectRef
from services.llm_worker.errors import CallError
from services.llm_worker.provider import Limits, Piece, Provider, Resume, ResumeRefusedError
from services.llm_worker.register import Attempt, AttemptState, Register, State
from services.runtime.object_store import (
    CorruptObjectError,
    ObjectMissingError,
    ObjectStoreError,
    PreconditionFailedError,
    StoredObject,
    WriteConflictError,
    reference,
)

LEASE_SECONDS = 15
"""An owner that has not written for this long is taken to be dead: fifteen missed writes in a row."""
JOURNAL_SECONDS = 1.0
"""Also the window that stays open on a provider that cannot resume: what it sent since the last write is lost."""
FRESH_SECONDS = 3.0
"""A claim that was written longer ago than this is renewed before sending."""
RECORD_SECONDS = 20
"""How long recording a complete answer is tried before it is handed back unrecorded."""


class Store(Protocol):
    """The two operations on the store that the ledger is made of; they raise as `ObjectStore`'s do."""

    async def read(self, key: str) -> StoredObject:
        """Read an object with its ETag and its age by the store's clock."""

    async def put_if(self, key: str, data: bytes, etag: str | None) -> str:
        """Write if the object still has the ETag (`None`: if there is none) and return the new one."""


@dataclass(frozen=True)
class Entry:
    """A call that ended with an answer.

    Attributes:
        register: What is recorded.
        ref: Where it is recorded, or is to be.
        recorded: It is; false if the store failed at that moment, so that the caller must keep the register itself.
        outcome: How the call ended.
        saved_tokens: Tokens that adopting or resuming did not buy again.
    """

    register: Register
    ref: ObjectRef
    outcome: Outcome
    saved_tokens: int = 0
    recorded: bool = True


class LeaveError(Exception):
    """The worker is stopping, so this attempt no longer waits for another one's answer."""


class SupersededError(Exception):
    """Another attempt owns the register, or has recorded the answer."""


@dataclass
class _Held:
    """A register that this attempt owns. Whoever writes it holds the lock, since each write needs the last ETag."""

    register: Register
    resume: Resume | None
    outcome: Outcome
    lost: Attempt | None  # the attempt that this one took over from, if that left no word of its end
    claimed_at: float  # on the event loop's clock, which goes on while the process is frozen
    etag: str | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Caller:
    """Whom the ledger works for: what it asks, and what it keeps up to date.

    Attributes:
        admit: Asked before every purchase whether the budget allows it; raises `CallError` if it does not.
        booked: Told of every attempt whose bill is known, or estimated for good.
        leave: Set when the worker is asked to stop.
        state: `waiting` for another attempt, or `streaming`.
        register: The register as this attempt knows it.
    """

    admit: Callable[[Register], None]
    booked: Callable[[Attempt], None]
    leave: asyncio.Event
    state: str = "waiting"
    register: Register = field(default_factory=Register)


class Ledger:
    """Calls of the model against one store."""

    def __init__(self, store: Store, limits: Limits, *, rebuy_limit: int) -> None:
        self._store = store
        self._limits = limits
        self._rebuy_limit = rebuy_limit

    async def call(self, key: str, provider: Provider, caller: Caller) -> Entry:
        """Return the answer to a call; one that is recorded is not bought.

        Args:
            key: The register's key.
            provider: Where to buy.
            caller: Whom it is for.

        Raises:
            CallError: The provider failed or refused, or the budget or the limit of re-buys is used up.
            ObjectStoreError: Without the store nothing is sent.
            LeaveError: See there.
        """
        while True:
            held = await self._claim(key, provider, caller)
            if isinstance(held, Entry):
                return held
            try:
                await self._buy(key, held, provider, caller)
                return await self._record(key, held, provider, caller)
            except (SupersededError, ResumeRefusedError):
                continue  # read the register again: wait, adopt, or go another way

    async def _claim(self, key: str, provider: Provider, caller: Caller) -> _Held | Entry:
        """Adopt the answer, or come to own the register with an attempt of ours in it."""
        owner = secrets.token_hex(8)
        register, etag = Register(), None  # on an undisturbed call creating it is the only step
        looked = False
        while True:
            held: _Held | None = None
            try:
                held = self._enter(register, owner, provider, caller)
                held.etag = await self._store.put_if(key, register.encode(), etag)
                return self._claimed(held, caller)
            except (PreconditionFailedError, WriteConflictError):
                pass
            except CallError:
                if looked:  # refused, and there is no recorded answer to adopt either
                    raise
            looked = True
            stored = await self._look(key, owner, caller)
            if stored is None:
                register, etag = Register(), None
                continue
            register, etag = _decode(key, stored.data), stored.etag
            if register.state is State.DONE:
                return _adopt(key, stored.data, register)
            if register.owner == owner and held is not None:  # our write went through, its response was lost
                held.register, held.etag = register, etag
                return self._claimed(held, caller)

    def _claimed(self, held: _Held, caller: Caller) -> _Held:
        if held.lost is not None and held.register.attempt.purchase:
            caller.booked(held.lost)  # otherwise its response is being fetched, and is booked at its end
        caller.register = held.register
        caller.state = "streaming"
        return held

    async def _look(self, key: str, owner: str, caller: Caller) -> StoredObject | None:
        """Read the register, once no other attempt is alive in it; `None` where there is none."""
        while True:
            try:
                stored = await self._store.read(key)
            except ObjectMissingError:
                return None
            register = _decode(key, stored.data)
            free = register.owner in ("", owner) or stored.age_seconds > LEASE_SECONDS
            if register.state is State.DONE or free:
                return stored
            caller.state, caller.register = "waiting", register
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(caller.leave.wait(), JOURNAL_SECONDS)
                raise LeaveError("this worker is stopping; another one waits for the answer that still streams")

    def _enter(self, register: Register, owner: str, provider: Provider, caller: Caller) -> _Held:
        """Enter an attempt of ours into a new register, or one whose owner is dead or has let go."""
        lost = None
        if register.attempts and register.attempt.state is AttemptState.SENT:
            lost = register.attempt
            usage = provider.estimate(register)
            register.close(AttemptState.LOST, usage, provider.price(usage))
        resume = provider.resume(register)
        outcome = Outcome.RESUMED if resume else Outcome.REBOUGHT if register.purchases else Outcome.BOUGHT
        if outcome is Outcome.REBOUGHT:
            if register.purchases > self._rebuy_limit:
                raise _limit_reached(register)
            register.forget_text()
        purchase = resume is None or resume.purchase
        if purchase:
            caller.admit(register)
        register.enter(owner, kept_pieces=register.pieces if resume else 0, purchase=purchase)
        return _Held(register, resume, outcome, lost, asyncio.get_running_loop().time())

    async def _buy(self, key: str, held: _Held, provider: Provider, caller: Caller) -> None:
        """Stream the answer with the journal beside it, and book how that ended."""
        register = held.register
        try:
            await self._stream(key, held, provider)
        except ResumeRefusedError:
            register.attempt.billed = False
            await self._let_go(key, held, provider, caller, AttemptState.FAILED, "resume-refused", forget=True)
            raise
        except CallError as error:
            register.attempt.billed &= error.billed
            await self._let_go(
                key, held, provider, caller, AttemptState.FAILED, error.error_type, forget=not error.resumable
            )
            raise
        except asyncio.CancelledError:
            await self._let_go(key, held, provider, caller, AttemptState.CANCELLED, "")
            raise
        usage = register.usage if register.usage.output_tokens else provider.estimate(register)
        register.finish(usage, provider.price(usage))

    async def _stream(self, key: str, held: _Held, provider: Provider) -> None:
        """Read the provider's stream while a task of its own tends the register."""
        if asyncio.get_running_loop().time() - held.claimed_at > FRESH_SECONDS:
            await self._write(key, held)
        reading = asyncio.create_task(self._read(key, held, provider))
        tending = asyncio.create_task(self._tend(key, held, reading))
        try:
            await asyncio.wait({reading, tending}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                tending.result()  # raises: superseded, or out of time
            await reading
        finally:
            await _end(reading)  # first of all: an open stream costs money
            async with held.lock:  # a write under way is let through, so that its ETag is known
                tending.cancel()
            await _end(tending)

    async def _read(self, key: str, held: _Held, provider: Provider) -> None:
        """Take in the provider's pieces; a response's id goes into the register before anything that follows it."""
        async with contextlib.aclosing(provider.stream(held.resume)) as pieces:
            async for piece in pieces:
                _take(held.register, piece)
                if piece.response_id and held.resume is None:
                    with contextlib.suppress(ObjectStoreError):
                        await self._write(key, held)

    async def _tend(self, key: str, held: _Held, reading: "asyncio.Task[None]") -> None:
        """Write the register every second and keep the time limits, until the reading ends."""
        clock = asyncio.get_running_loop().time
        begun = changed = clock()
        start = pieces = held.register.pieces
        while True:
            await asyncio.wait({reading}, timeout=JOURNAL_SECONDS)
            if reading.done():
                return
            now = clock()
            if held.register.pieces != pieces:
                pieces, changed = held.register.pieces, now
            limit = self._limits.first_token if pieces == start else self._limits.idle
            if now - changed > limit:
                raise _out_of_time(f"sent nothing for {limit:.0f} s after {pieces} tokens")
            if now - begun > self._limits.whole:
                raise _out_of_time(f"did not end within {self._limits.whole:.0f} s; {pieces} tokens had come")
            # While the store is away the stream goes on: it is paid for, and the next write carries it all.
            with contextlib.suppress(ObjectStoreError):
                await self._write(key, held)

    async def _write(self, key: str, held: _Held) -> None:
        """Write the register as its owner.

        Raises:
            SupersededError: It is another's by now, or done, or deleted.
            ObjectStoreError: The store failed.
        """
        async with held.lock:
            held.register.beat += 1
            try:
                held.etag = await self._store.put_if(key, held.register.encode(), held.etag)
            except (PreconditionFailedError, ObjectMissingError) as error:
                try:
                    stored = await self._store.read(key)
                except ObjectMissingError:
                    raise SupersededError("the register was deleted") from error
                now = _decode(key, stored.data)
                # The attempt is asked for, not the owner: letting go writes no owner.
                if now.state is State.DONE or now.attempt.owner != held.register.attempt.owner:
                    raise SupersededError("another attempt owns the register") from error
                held.etag = stored.etag

    async def _let_go(
        self,
        key: str,
        held: _Held,
        provider: Provider,
        caller: Caller,
        state: AttemptState,
        error: str,
        *,
        forget: bool = False,
    ) -> None:
        """Close the attempt and free the register, so that the next attempt need not wait for the lease to end."""
        usage = provider.estimate(held.register)
        held.register.close(state, usage, provider.price(usage), error)
        if forget:
            held.register.forget_text()
        held.register.owner = ""
        caller.booked(held.register.attempt)
        # If this write fails the lease ends by itself. A cancelled call still makes it; the store's timeouts bound it.
        with contextlib.suppress(SupersededError, ObjectStoreError):
            await asyncio.shield(asyncio.ensure_future(self._write(key, held)))

    async def _record(self, key: str, held: _Held, provider: Provider, caller: Caller) -> Entry:
        """Write the answer as `done`, over an open register of another owner if need be."""
        register = held.register
        clock = asyncio.get_running_loop().time
        deadline = clock() + RECORD_SECONDS
        caller.booked(register.buyer)
        while True:
            data = register.encode()
            try:
                await self._store.put_if(key, data, held.etag)
                return _entry(held, reference(key, data))
            except (PreconditionFailedError, ObjectMissingError):
                pass
            except ObjectStoreError:
                if clock() > deadline:
                    return _entry(held, reference(key, data), recorded=False)
                await asyncio.sleep(0.5)
                continue
            try:
                stored = await self._store.read(key)
            except ObjectMissingError:
                held.etag = None  # deleted meanwhile: it is made anew
                continue
            except ObjectStoreError:
                continue  # the next write meets the same failure and keeps the deadline
            other = _decode(key, stored.data)
            if other.state is State.DONE and other.owner == register.owner:
                return _entry(held, reference(key, stored.data))  # ours went through, its response was lost
            if other.state is State.DONE:
                return _adopt(key, stored.data, other, bought=True)
            held.etag = stored.etag
            usage = provider.estimate(other)
            register.merge(other, usage, provider.price(usage))


def _take(register: Register, piece: Piece) -> None:
    """Add a piece to the register."""
    if piece.replaces:
        register.parts.clear()
    if piece.text:
        register.parts.append(piece.text)
        register.pieces += 1
    if piece.cursor >= 0:
        register.cursor = piece.cursor
    register.response_id = piece.response_id or register.response_id
    register.finish_reason = piece.finish_reason or register.finish_reason
    register.model = piece.model or register.model
    register.usage = piece.usage or register.usage


def _decode(key: str, data: bytes) -> Register:
    try:
        return Register.decode(data)
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptObjectError(f"{key} is not a register of the ledger: {error}. Delete it to buy again.") from error


def _adopt(key: str, data: bytes, register: Register, *, bought: bool = False) -> Entry:
    """Return a recorded answer; with `bought` this attempt's own purchase came too late and saved nothing."""
    saved = 0 if bought else register.usage.input_tokens + register.usage.output_tokens
    return Entry(register, reference(key, data), Outcome.ADOPTED, saved)


def _entry(held: _Held, ref: ObjectRef, *, recorded: bool = True) -> Entry:
    saved = held.register.attempt.kept_pieces if held.outcome is Outcome.RESUMED else 0
    return Entry(held.register, ref, held.outcome, saved, recorded)


def _limit_reached(register: Register) -> CallError:
    spend = register.spent()
    money = "at a price that is unknown" if spend.cost_usd is None else f"for {spend.cost_usd:.4f} USD"
    return CallError(
        ErrorType.REBUY_LIMIT,
        f"This call was bought {register.purchases} times, {spend.input_tokens + spend.output_tokens} tokens {money}, "
        "and no answer arrived whole. LLM_REBUY_LIMIT is used up, so it is not bought again. Find what cuts the "
        "answers off, raise the limit of the LLM worker, then retry the report.",
        permanent=True,
        billed=False,
    )


def _out_of_time(what: str) -> CallError:
    return CallError(
        ErrorType.PROVIDER_TIMEOUT,
        f"The provider {what}. The call is tried again.",
        permanent=False,
        billed=True,
    )


async def _end(task: "asyncio.Task[None]") -> None:
    """Cancel a task and wait for its end; its outcome was looked at already, or no longer matters."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
