"""Pools: several actors behind one address, and how messages are spread."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorRef,
    ActorSpec,
    AskFailed,
    AskTimeout,
    ByKey,
    LeastMailbox,
    MailboxSpec,
    NotAccepted,
    PoolSpec,
    Reason,
    RoundRobin,
    Route,
    Stop,
    Terminated,
    open_system,
    receive,
)
from anima_supervisors import ChildStartFailed, Exited, Inline, SupervisorSpec
from anima_supervisors.testing import EventLog
from tests.anima.actors.members import Member, Who, pool_of, sleep_in
from tests.anima.actors.puppets import Do, Watcher, fail


class Endless(Actor[Who]):
    @receive
    async def who(self, message: Who) -> str:
        return ""


BY_KEY = ByKey(lambda message: message.key)


async def test_a_pool_has_one_address_and_its_members_their_own() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 3)
        assert pool.path == "home/pool"
        assert {ref.path for ref in system.actors()} == {"home/pool", *(f"home/pool/{n}" for n in (1, 2, 3))}
        assert await system.ref("home/pool/2", Member).ask(Who()) == "2"
        assert [child.path for child in system.supervisor.snapshot().children[0].children] == [
            f"home/pool/{n}" for n in (1, 2, 3)
        ]


async def test_round_robin_gives_each_its_turn() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 3)
        assert [await pool.ask(Who()) for _ in range(6)] == ["1", "2", "3", "1", "2", "3"]


@pytest.mark.parametrize("route", [RoundRobin(), LeastMailbox()])
async def test_who_is_being_restarted_is_left_out_while_there_are_others(
    autojump_clock: MockClock, route: Route
) -> None:
    class Slow(Member):
        async def started(self) -> None:
            await trio.sleep(3)

    async with open_system() as system:
        pool = await system.spawn(PoolSpec(ActorSpec("pool", Slow), 3, route))
        system.ref("home/pool/2", Member).tell(Do(fail))
        await wait_all_tasks_blocked()
        began = trio.current_time()
        assert "2" not in [await pool.ask(Who()) for _ in range(6)]
        assert trio.current_time() == began
        await trio.sleep(4)
        assert "2" in [await pool.ask(Who()) for _ in range(3)]


async def test_the_least_mailbox_is_that_of_who_has_least_to_do(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        pool = await pool_of(system, 3, LeastMailbox())
        await sleep_in(system.ref("home/pool/1", Member), 2, 10)
        await sleep_in(system.ref("home/pool/3", Member), 1, 10)
        assert [await pool.ask(Who()) for _ in range(3)] == ["2", "2", "2"]


async def test_the_same_key_goes_to_the_same_member_also_after_its_restart() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 4, BY_KEY)
        keys = [f"key {n}" for n in range(40)]
        before = {key: await pool.ask(Who(key)) for key in keys}
        assert set(before.values()) == {"1", "2", "3", "4"}
        for n in (1, 3):
            system.ref(f"home/pool/{n}", Member).tell(Do(fail))
        await wait_all_tasks_blocked()
        assert {key: await pool.ask(Who(key)) for key in keys} == before


async def test_keys_are_spread_evenly_and_few_of_them_move_when_a_member_comes() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 4, BY_KEY)
        keys = [f"user-{n}" for n in range(800)]
        before = {key: await pool.ask(Who(key)) for key in keys}
        await system.resize(pool, 5)
        after = {key: await pool.ask(Who(key)) for key in keys}
        assert {after[key] for key in keys if after[key] != before[key]} == {"5"}
        for spread, share in ((before, 200), (after, 160)):
            counts = Counter(spread.values())
            assert max(counts.values()) < 1.5 * share, counts
            assert min(counts.values()) > share / 1.5, counts


async def test_a_pool_accepts_what_its_members_do_and_says_so_at_the_sender() -> None:
    text: Any = "text"
    async with open_system() as system:
        pool: ActorRef[Any] = await pool_of(system, 2)
        with pytest.raises(NotAccepted, match="home/pool"):
            pool.tell(text)
        with pytest.raises(NotAccepted):
            await pool.ask(text)
        endless: ActorRef[Any] = await system.spawn(PoolSpec(ActorSpec("endless", Endless), 2))
        with pytest.raises(NotAccepted):
            endless.tell(Stop())


async def test_the_errors_of_an_ask_name_the_address_that_was_asked(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        pool = await pool_of(system, 2)
        with pytest.raises(AskTimeout, match="home/pool/1") as timeout:
            await pool.ask(Who(seconds=10), timeout=1)
        with pytest.raises(AskFailed, match="home/pool/2") as failed:
            await pool.ask(Do(fail))
        assert (timeout.value.path, failed.value.path) == ("home/pool", "home/pool")


async def test_a_member_that_crashes_is_restarted_and_its_mailbox_stays_its_own() -> None:
    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        pool = await pool_of(system, 2)
        member = system.ref("home/pool/2", Member)
        member.tell(Do(fail))
        assert await member.ask(Who()) == "2"
        assert events.paths(Exited) == ["home/pool/2"]
        assert not pool.ended


async def test_the_statistics_of_a_pool_are_the_sums_over_its_members(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        pool = await pool_of(system, 2, mailbox=MailboxSpec(5))
        await sleep_in(pool, 5, 1)
        statistics = pool.statistics()
        assert statistics is not None
        assert (statistics.length, statistics.capacity, statistics.received) == (3, 10, 5)


# Its end


async def test_stop_ends_all_members_and_whoever_watches_is_told_once(autojump_clock: MockClock) -> None:
    log: list[Terminated] = []
    async with open_system() as system:
        pool = await pool_of(system, 3)
        watcher = await system.spawn("watcher", Watcher, log)

        async def watch(actor: Watcher) -> None:
            actor.watch(pool)

        await watcher.ask(Do(watch))
        await sleep_in(pool, 1, 3)
        pool.tell(Stop())
        await wait_all_tasks_blocked()
        assert log == []  # one of them is not done yet
        assert not pool.ended
        await pool.wait_ended()
        await wait_all_tasks_blocked()
        assert trio.current_time() == 3
        assert [told.ref for told in log] == [pool]
        pool.tell(Who())
        [letter] = system.dead_letters
        assert (letter.to, letter.reason) == ("home/pool", Reason.NO_ACTOR)


async def test_a_pool_that_has_ended_can_be_started_again() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 2)
        await system.stop(pool)
        assert pool.ended
        await pool_of(system, 2)
        assert await pool.ask(Who()) == "1"


async def test_a_pool_whose_members_were_told_to_stop_can_be_started_again() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 2)
        pool.tell(Stop())
        await wait_all_tasks_blocked()
        assert pool.ended
        await pool_of(system, 2)
        assert await pool.ask(Who()) == "1"


async def test_a_pool_can_be_told_to_stop_while_the_tree_still_starts() -> None:
    class Stopper(Member):
        async def started(self) -> None:
            pool = self.system.ref("home/pool", Member)
            pool.tell(Stop())
            await pool.wait_ended()

    pool_spec = PoolSpec(ActorSpec("pool", Member), 2)
    children = [pool_spec.child(), ActorSpec("stopper", Stopper).child()]
    events = EventLog()
    async with open_system(SupervisorSpec(children=children), on_event=Inline(events)) as system:
        await wait_all_tasks_blocked()
        assert system.ref("home/pool").ended
        assert all(exited.exit.clean for exited in events.of(Exited))
        assert await system.ref("home/stopper", Member).ask(Who()) == "stopper"


async def test_members_that_crash_too_often_take_the_pool_along_and_it_comes_back() -> None:
    async with open_system() as system:
        spec = PoolSpec(ActorSpec("pool", Member), 2, intensity=1)
        pool = await system.spawn(spec)
        await pool.ask(Who())
        for _ in range(2):
            system.ref("home/pool/1").tell(Do(fail))
            await wait_all_tasks_blocked()
        assert {await pool.ask(Who()) for _ in range(2)} == {"1", "2"}


async def test_a_pool_with_a_member_that_does_not_start_is_a_failed_start() -> None:
    made: list[int] = []

    class Picky(Endless):
        def __init__(self, made: list[int]) -> None:
            made.append(1)
            if len(made) == 2:
                raise ValueError("one is enough")

    async with open_system() as system:
        spec = PoolSpec(ActorSpec("pool", functools.partial(Picky, made)), 3)
        with pytest.raises(ChildStartFailed):
            await system.spawn(spec)
        assert system.actors() == ()
        assert not await system.supervisor.which_children()
