"""Crash scenarios of the ledger: every kill point x kind of provider x second kill x fault of the store.

`make test` runs them all; the last test states how many there are.
"""

import asyncio
import itertools

import pytest

from services.contracts.llm import Outcome
from services.llm_worker.ledger import LeaveError, Ledger
from services.llm_worker.provider import Limits
from services.llm_worker.register import AttemptState, Register, State
from services.runtime.object_store import PreconditionFailedError
from tests.unit.llm_worker.world import KEY, Machine, Story, World, caller, durable, run

POINTS = (
    "before-send",
    "after-send",
    "after-id",
    "mid-stream",
    "after-last-token",
    "before-record",
    "after-record",
    "after-write",
)
KINDS = ("plain", "prefix", "background")
# A freeze shorter than Temporal's heartbeat timeout, between that and the lease, and longer than the lease.
TROUBLES = (("kill", 0.0), ("freeze", 5.0), ("freeze", 13.0), ("freeze", 40.0))
FAULTS: tuple[dict[int, str], ...] = ({}, {0: "lost"}, {1: "refused"}, {2: "lost"}, {3: "conflict"}, {5: "refused"})

SCENARIOS = [
    (kind, first, trouble, second, faults, refuse)
    for kind, first, trouble, second, faults in itertools.product(
        KINDS, POINTS, TROUBLES, (None, "before-send", "mid-stream", "after-last-token", "after-record"), FAULTS
    )
    for refuse in ((False, True) if kind != "plain" and faults == {} else (False,))
]


def check(world: World, story: Story, *, frozen_at_send: bool = False) -> None:
    """Check what must hold after any scenario.

    `frozen_at_send`: the process was frozen, for longer than the lease, between its last look at the claim and the
    send itself. No lease can forbid that send; what must hold is that it is closed within a journal interval.
    """
    bucket = world.bucket
    assert len(bucket.recorded) <= 1, "two owners recorded"
    if bucket.recorded_at is not None:
        late = [purchase for purchase in world.purchases if purchase.at > bucket.recorded_at]
        assert len(late) <= frozen_at_send, "a recorded answer was bought again"
        assert all(not purchase.finished and purchase.sent_pieces <= 3 for purchase in late)
    for entry in story.entries:
        assert entry.register.text in world.complete_texts(), "a torn answer was returned"
        assert entry.register.state is State.DONE
        if entry.recorded:
            assert bucket.data == bucket.recorded[-1] == entry.register.encode() or entry.outcome is Outcome.ADOPTED
    if bucket.data is not None:
        register = Register.decode(bucket.data)
        entered = sum(attempt.purchase for attempt in register.attempts)
        assert len(world.purchases) <= entered, "a purchase that no register knows"
        assert len({attempt.owner for attempt in register.attempts}) == len(register.attempts)
    assert story.entries, f"no answer: {story.errors}"


def tell(scenario: tuple[str, str, tuple[str, float], str | None, dict[int, str], bool]) -> tuple[World, Story]:
    kind, first, trouble, second, faults, refuse = scenario
    world = World(kind, refuse_resume=refuse)
    machines = [Machine(world, {first: trouble}, faults=dict(faults))]
    if second is not None:
        machines.append(Machine(world, {second: ("kill", 0.0)}))

    async def scene() -> Story:
        return await durable(world, machines, rebuy_limit=4)

    return world, run(scene)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", POINTS)
@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda trouble: f"{trouble[0]}-{trouble[1]:.0f}")
def test_no_scenario_pays_for_a_recorded_answer_or_loses_one(kind: str, first: str, trouble: tuple[str, float]) -> None:
    mine = [scenario for scenario in SCENARIOS if scenario[:3] == (kind, first, trouble)]
    assert mine
    for scenario in mine:
        world, story = tell(scenario)
        try:
            check(world, story, frozen_at_send=first == "before-send" and trouble == ("freeze", 40.0))
        except AssertionError as error:
            raise AssertionError(f"{scenario}: {error}; errors {story.errors}") from error


def test_there_are_at_least_a_thousand_scenarios() -> None:
    assert len(SCENARIOS) >= 1000
    assert len({repr(scenario) for scenario in SCENARIOS}) == len(SCENARIOS)


def purchases_after(kind: str, point: str) -> int:
    world, story = tell((kind, point, ("kill", 0.0), None, {}, False))
    check(world, story)
    return len(world.purchases)


@pytest.mark.parametrize(
    ("point", "plain", "prefix", "background"),
    [
        # what is bought after a kill, at each boundary: the README's table
        ("before-send", 1, 1, 1),
        ("after-send", 2, 2, 2),
        ("mid-stream", 2, 2, 1),
        ("after-last-token", 2, 2, 1),
        ("before-record", 2, 2, 1),
        ("after-record", 1, 1, 1),
    ],
)
def test_what_is_bought_after_a_kill(point: str, plain: int, prefix: int, background: int) -> None:
    bought = {kind: purchases_after(kind, point) for kind in KINDS}
    assert bought == {"plain": plain, "prefix": prefix, "background": background}


@pytest.mark.parametrize("point", ["mid-stream", "after-last-token"])
def test_a_prefix_is_paid_for_once_as_output(point: str) -> None:
    world, story = tell(("prefix", point, ("kill", 0.0), None, {}, False))
    check(world, story)
    output = sum(purchase.sent_pieces for purchase in world.purchases)
    # One journal interval may be lost: 1 s at one piece in 0.4 s.
    assert output - len(story.entries[0].register.text.split(" ")) <= 3
    assert story.entries[0].outcome is Outcome.RESUMED
    assert story.entries[0].saved_tokens > 0


def test_a_frozen_worker_within_the_lease_is_waited_for() -> None:
    world, story = tell(("plain", "mid-stream", ("freeze", 13.0), None, {}, False))
    assert len(world.purchases) == 1
    assert {entry.outcome for entry in story.entries} == {Outcome.ADOPTED, Outcome.BOUGHT}


def test_a_frozen_worker_beyond_the_lease_is_taken_over_and_closes_its_stream() -> None:
    world, story = tell(("plain", "mid-stream", ("freeze", 40.0), None, {}, False))
    check(world, story)
    assert len(world.purchases) == 2
    assert not world.purchases[0].finished, "the woken worker must close its stream"
    assert {entry.outcome for entry in story.entries} == {Outcome.REBOUGHT, Outcome.ADOPTED}


def test_a_waiting_attempt_leaves_when_its_worker_is_asked_to_stop() -> None:
    async def scene() -> tuple[World, float]:
        world = World("plain")
        clock = asyncio.get_running_loop().time
        limits = Limits(first_token=30, idle=30, whole=600)
        first = asyncio.create_task(Ledger(Machine(world), limits, rebuy_limit=2).call(KEY, Machine(world), caller()))
        await asyncio.sleep(1)
        leave = asyncio.Event()
        waiting = caller(leave=leave)
        second = asyncio.create_task(Ledger(Machine(world), limits, rebuy_limit=2).call(KEY, Machine(world), waiting))
        await asyncio.sleep(1)
        assert waiting.state == "waiting"
        asked = clock()
        leave.set()
        with pytest.raises(LeaveError):
            await second
        left_after = clock() - asked
        await first
        return world, left_after

    world, left_after = run(scene)
    assert len(world.purchases) == 1
    assert left_after == 0


def test_the_rebuy_limit_ends_with_the_money_named() -> None:
    world = World("plain")
    machines = [Machine(world, {"mid-stream": ("kill", 0.0)}) for _ in range(5)]

    async def scene() -> Story:
        return await durable(world, machines, rebuy_limit=2)

    story = run(scene)
    assert len(world.purchases) == 3
    assert not story.entries
    assert "bought 3 times" in story.errors[-1]
    assert "USD" in story.errors[-1]


def test_without_the_store_nothing_is_sent() -> None:
    world = World("plain")
    machines = [Machine(world, faults=dict.fromkeys(range(3), "refused"))]

    async def scene() -> Story:
        return await durable(world, machines, attempts=1)

    story = run(scene)
    assert not world.purchases
    assert "the store is away" in story.errors[0]


def test_an_answer_that_cannot_be_recorded_is_handed_back() -> None:
    world = World("plain")
    machines = [Machine(world, faults=dict.fromkeys(range(1, 500), "refused"))]

    async def scene() -> Story:
        return await durable(world, machines)

    story = run(scene)
    assert len(world.purchases) == 1
    (entry,) = story.entries
    assert not entry.recorded
    assert entry.register.text == World.answer(0)


def test_a_superseded_owner_with_the_whole_answer_records_it_and_the_other_adopts() -> None:
    world = World("plain")
    machines = [Machine(world, {"before-record": ("freeze", 17.0)})]

    async def scene() -> Story:
        return await durable(world, machines)

    story = run(scene)
    assert len(world.purchases) == 2
    assert len(world.bucket.recorded) == 1
    assert {entry.register.text for entry in story.entries} == {World.answer(0)}
    register = Register.decode(world.bucket.recorded[0])
    assert [attempt.state for attempt in register.attempts].count(AttemptState.SUPERSEDED) == 1
    assert register.spent().wasted_tokens > 0


def test_the_register_cannot_be_written_by_a_superseded_owner() -> None:
    async def scene() -> None:
        world = World()
        first = await Machine(world).put_if(KEY, Register(owner="a").encode(), None)
        await Machine(world).put_if(KEY, Register(owner="b").encode(), first)
        with pytest.raises(PreconditionFailedError):
            await Machine(world).put_if(KEY, Register(owner="a", beat=2).encode(), first)

    run(scene)


def test_the_books_of_an_undisturbed_call() -> None:
    world = World("plain")

    async def scene() -> Story:
        return await durable(world, [])

    story = run(scene)
    (entry,) = story.entries
    spend = entry.register.spent()
    assert (spend.input_tokens, spend.output_tokens) == (7, world.purchases[0].sent_pieces)
    assert (spend.calls, spend.wasted_tokens) == (1, 0)
    assert spend.cost_usd == pytest.approx(0.007 + 0.002 * spend.output_tokens)
    assert entry.outcome is Outcome.BOUGHT
