"""The `llm_call` activity: the ledger's call with Temporal's heartbeats, cancellation and errors around it."""

import asyncio
import contextlib
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import structlog
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from services.contracts import ids
from services.contracts.activities import LLMHeartbeat
from services.contracts.errors import ErrorType
from services.contracts.llm import Budget, LLMCallInput, LLMCallOutput, Outcome
from services.contracts.reports import Spend
from services.llm_worker import metrics, prices
from services.llm_worker.errors import CallError, backoff
from services.llm_worker.ledger import Caller, Entry, LeaveError, Ledger
from services.llm_worker.models import ModelProvider, Models
from services.llm_worker.provider import Limits
from services.llm_worker.register import Register, request_hash
from services.llm_worker.settings import LLMSettings
from services.llm_worker.titles import title_of
from services.runtime.object_store import CorruptObjectError, ObjectStore, ObjectStoreError, StoredObject
from services.runtime.settings import EXIT_BAD_SETTING

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 2.0
"""The SDK sends at most every 3 s (see `__main__`). The first one is this late, so that a short call sends none."""

MAX_INLINE_BYTES = 1024 * 1024
"""Of an answer that rides in the activity's result since the store failed: half of Temporal's limit of a payload."""


class ThreadedStore:
    """The object store for the ledger: boto3 blocks, so each operation runs in a thread."""

    def __init__(self, store: ObjectStore, threads: int) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="object-store")

    async def read(self, key: str) -> StoredObject:
        """Read an object; see `ObjectStore.read`."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._store.read, key)

    async def put_if(self, key: str, data: bytes, etag: str | None) -> str:
        """Write an object on a condition; see `ObjectStore.put_if`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: self._store.put_if(key, data, etag=etag))


class LLMActivities:
    """Hosts `llm_call`."""

    def __init__(self, settings: LLMSettings, ledger: Ledger, models: Models) -> None:
        self._settings = settings
        self._ledger = ledger
        self._models = models
        self._leave = asyncio.Event()
        self._orphans: set[asyncio.Task[Entry]] = set()

    @classmethod
    def on(cls, settings: LLMSettings, store: ObjectStore) -> "LLMActivities":
        """Return the activities on a store that is ready.

        Raises:
            SystemExit: `LLM_MODEL` names no provider.
        """
        limits = Limits(settings.llm_first_token_seconds, settings.llm_idle_seconds, settings.llm_max_call_seconds)
        # Each call writes once a second for a few milliseconds, so a thread serves many calls.
        ledger = Ledger(ThreadedStore(store, threads=16), limits, rebuy_limit=settings.llm_rebuy_limit)
        try:
            models = Models(settings)
        except CallError as error:
            sys.stderr.write(f"bad setting LLM_MODEL: {error}\n")
            raise SystemExit(EXIT_BAD_SETTING) from error
        return cls(settings, ledger, models)

    @activity.defn(name="llm_call")
    async def llm_call(self, call: LLMCallInput) -> LLMCallOutput:
        """Call the model, or adopt the answer that the ledger already holds."""
        begun = time.monotonic()
        model = call.model or self._settings.llm_model
        caller = Caller(
            admit=lambda _register: None, booked=lambda attempt: metrics.booked(model, attempt), leave=self._leave
        )
        try:
            provider = self._models.provider(call)
            caller.admit = lambda register: self._admit(call, provider, register)
            return self._output(model, await self._run(call, provider, caller))
        except CallError as error:
            self._count_failure(model, error, caller.register)
            raise ApplicationError(
                str(error),
                caller.register.spent() if caller.register.attempts else Spend(),
                type=error.error_type,
                non_retryable=error.permanent,
                next_retry_delay=error.retry_after or backoff(activity.info().attempt),
            ) from None
        except CorruptObjectError as error:
            raise ApplicationError(str(error), type=ErrorType.CORRUPT_OBJECT, non_retryable=True) from None
        except ObjectStoreError as error:
            raise ApplicationError(
                str(error), type=ErrorType.STORAGE, next_retry_delay=backoff(activity.info().attempt)
            ) from None
        except LeaveError as error:
            raise ApplicationError(str(error), type=ErrorType.WORKER_STOPPING) from None
        finally:
            metrics.SECONDS.labels(model).observe(time.monotonic() - begun)

    def on_signal(self) -> None:
        """Leave the waits for other attempts; the calls in flight go on."""
        self._leave.set()

    async def close(self) -> None:
        """Finish the calls that Temporal has given up but whose workflow still runs, then close the connections."""
        if self._orphans:
            await asyncio.wait(self._orphans, timeout=self._settings.drain_seconds)
        await self._models.close()

    async def _run(self, call: LLMCallInput, provider: ModelProvider, caller: Caller) -> Entry:
        """Make the call in a task of its own, so that a cancelled activity can decide what becomes of it."""
        info = activity.info()
        report_id = info.workflow_id or ""
        key = ids.register_key(report_id, call.call_id, request_hash(call))
        calling = asyncio.create_task(self._ledger.call(key, provider, caller))
        beating = asyncio.create_task(_heartbeat(caller))
        try:
            return await asyncio.shield(calling)
        except asyncio.CancelledError:
            details = activity.cancellation_details()
            given_up = details is not None and not details.cancel_requested and (details.not_found or details.timed_out)
            if given_up and await _still_runs(activity.client(), report_id):
                # Another attempt waits for this answer: it is finished into the ledger, where that one finds it.
                log.warning("Temporal gave this attempt up; the call goes on into the ledger")
                self._orphans.add(calling)
                calling.add_done_callback(self._orphan_ended)
                raise
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)
            if details is not None and details.cancel_requested:
                await _abandon(provider, caller.register)
            raise
        finally:
            beating.cancel()

    def _orphan_ended(self, calling: "asyncio.Task[Entry]") -> None:
        self._orphans.discard(calling)
        if not calling.cancelled() and (error := calling.exception()) is not None:
            log.warning("a call that went on without its attempt failed", reason=str(error))

    def _admit(self, call: LLMCallInput, provider: ModelProvider, register: Register) -> None:
        own = call.budget
        budget = Budget(
            max_cost_usd=own.max_cost_usd if own.max_cost_usd is not None else self._settings.llm_max_cost_usd,
            max_tokens=own.max_tokens if own.max_tokens is not None else self._settings.llm_max_tokens,
            spent_cost_usd=own.spent_cost_usd,
            spent_tokens=own.spent_tokens,
        )
        if budget.max_cost_usd is None and budget.max_tokens is None:
            return
        most = prices.largest_output(provider.name, call.parameters)
        prices.admit(provider.name, budget, register, provider.input_tokens(), most)

    def _count_failure(self, model: str, error: CallError, register: Register) -> None:
        metrics.ERRORS.labels(model, error.error_type).inc()
        log.warning("call failed", type=error.error_type, permanent=error.permanent, reason=str(error))
        if error.permanent:
            metrics.CALLS.labels(model, Outcome.FAILED).inc()
            spent = register.spent()
            metrics.WASTED.labels(model).inc(spent.input_tokens + spent.output_tokens)

    def _output(self, model: str, entry: Entry) -> LLMCallOutput:
        register = entry.register
        spend = register.spent()
        metrics.CALLS.labels(model, entry.outcome).inc()
        metrics.SAVED.labels(model).inc(entry.saved_tokens)
        if entry.outcome is not Outcome.ADOPTED:  # whoever recorded it has counted them
            metrics.WASTED.labels(model).inc(spend.wasted_tokens)
        unrecorded = None if entry.recorded else register.encode()
        if unrecorded is not None and len(unrecorded) > MAX_INLINE_BYTES:
            raise ObjectStoreError(
                "The store failed when the answer was to be recorded, and the answer is too long for Temporal. It is "
                "bought again once the store works."
            )
        return LLMCallOutput(
            answer=entry.ref,
            usage=register.usage,
            spend=Spend(
                calls=1,
                input_tokens=spend.input_tokens,
                output_tokens=spend.output_tokens,
                wasted_tokens=spend.wasted_tokens,
                saved_tokens=entry.saved_tokens,
                cost_usd=spend.cost_usd,
                outcomes={entry.outcome.value: 1},
            ),
            outcome=entry.outcome,
            model=register.model or model,
            finish_reason=register.finish_reason,
            title=title_of(register.text),
            inline=None if unrecorded is None else unrecorded.decode(),
        )


async def _heartbeat(caller: Caller) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        activity.heartbeat(LLMHeartbeat(state=caller.state, tokens=caller.register.pieces))


async def _still_runs(client: Client, workflow_id: str) -> bool:
    """Ask Temporal whether anybody waits for the answer; where it cannot say, somebody may."""
    try:
        description = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        log.warning("cannot ask whether the workflow still runs", reason=str(error))
        return True
    return description.status is WorkflowExecutionStatus.RUNNING


async def _abandon(provider: ModelProvider, register: Register) -> None:
    """Stop what a cancelled report would still be billed for."""
    with contextlib.suppress(asyncio.CancelledError):
        try:
            await provider.abandon(register)
        except openai.OpenAIError as error:
            log.warning("the provider did not cancel the response", reason=str(error))
