"""Pools that grow and shrink."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import ActorSpec, ActorStopped, ByKey, MailboxSpec, PoolSpec, Reason, open_system
from anima_supervisors import BadSpec
from tests.anima.actors.members import Member, Who, pool_of, sleep_in
from tests.anima.actors.puppets import Do, fail


async def test_a_pool_grows_and_shrinks_and_the_last_ones_go_first() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 2)
        await system.resize(pool, 4)
        assert {await pool.ask(Who()) for _ in range(4)} == {"1", "2", "3", "4"}
        await system.resize(pool, 1)
        assert {await pool.ask(Who()) for _ in range(4)} == {"1"}
        await system.resize(pool, 3)
        assert {await pool.ask(Who()) for _ in range(6)} == {"1", "2", "3"}
        assert len(system.dead_letters) == 0


@pytest.mark.parametrize("replicas", [1, 4])
async def test_a_pool_has_its_size_again_when_its_supervisor_is_restarted(replicas: int) -> None:
    async with open_system() as system:
        pool = await pool_of(system, 2)
        await system.resize(pool, replicas)
        for _ in range(4):  # one more than its supervisor allows
            system.ref("home/pool/1", Member).tell(Do(fail))
            await wait_all_tasks_blocked()
        members = {ref.path for ref in system.actors()}
        assert members == {"home/pool", *(f"home/pool/{n}" for n in range(1, replicas + 1))}
        assert len({await pool.ask(Who()) for _ in range(2 * replicas)}) == replicas
        await system.resize(pool, 2)
        assert len({await pool.ask(Who()) for _ in range(4)}) == 2


async def test_what_a_removed_member_leaves_goes_to_others_with_its_askers(autojump_clock: MockClock) -> None:
    answers: list[str] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        pool = await pool_of(system, 2)
        await sleep_in(pool, 2, 3)

        async def ask() -> None:
            answers.append(await pool.ask(Who()))

        for _ in range(4):
            nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        await system.resize(pool, 1)
        await wait_all_tasks_blocked()
        assert answers == ["1"] * 4
        assert len(system.dead_letters) == 0


async def test_who_waits_for_room_at_a_removed_member_goes_to_another(autojump_clock: MockClock) -> None:
    answers: list[str] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        pool = await pool_of(system, 2, mailbox=MailboxSpec(1))
        await sleep_in(system.ref("home/pool/2", Member), 1, 3)
        system.ref("home/pool/2", Member).tell(Who())

        async def ask() -> None:
            answers.append(await pool.ask(Who(), timeout=10))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        nursery.start_soon(ask)  # waits for room at member 2
        nursery.start_soon(pool.put, Who())
        nursery.start_soon(pool.put, Who())
        await wait_all_tasks_blocked()
        await system.resize(pool, 1)
        await wait_all_tasks_blocked()
        assert answers == ["1", "1"]


async def test_a_member_that_has_ended_for_good_is_replaced_by_a_new_size() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 3)

        async def stop(actor: Member) -> None:
            actor.stop()

        await system.ref("home/pool/2", Member).ask(Do(stop))
        await wait_all_tasks_blocked()
        assert {await pool.ask(Who()) for _ in range(4)} == {"1", "3"}
        await system.resize(pool, 3)
        assert len({await pool.ask(Who()) for _ in range(6)}) == 3


async def test_a_size_below_one_and_an_address_that_is_no_pool_are_refused() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 1)
        with pytest.raises(ValueError, match="1 member or more"):
            await system.resize(pool, 0)
        with pytest.raises(ActorStopped, match="no pool at home/pool/1"):
            await system.resize(system.ref("home/pool/1"), 2)
    with pytest.raises(BadSpec, match="replicas"):
        PoolSpec(ActorSpec("pool", Member), 0)


async def test_a_message_without_the_key_that_a_member_leaves_is_a_dead_letter_and_nothing_else_happens() -> None:
    """The key function raises for it: that used to end the supervisor of the pool."""

    def key(message: Any) -> int:
        return int(message.number)  # has none

    async with open_system() as system:
        pool = await system.spawn(PoolSpec(ActorSpec("pool", Member), 2, ByKey(key)))
        member = system.ref("home/pool/2", Member)

        async def stop(actor: Member) -> None:
            actor.stop()

        member.tell(Do(stop))
        member.tell(Do(stop))
        await wait_all_tasks_blocked()
        assert [ref.path for ref in system.actors()] == ["home/pool", "home/pool/1"]
        assert system.dead_letters.counts[Reason.LEFT_OVER] == 1
        assert not pool.ended


async def test_two_changes_of_the_size_at_once_are_made_one_after_the_other() -> None:
    async with open_system() as system:
        pool = await pool_of(system, 3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.resize, pool, 1)
            nursery.start_soon(system.resize, pool, 6)
        assert len(system.actors()) - 1 in (1, 6)
