"""A wait that would close a circle of waiting actors is refused at once; what only looks like one is not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorRef,
    ActorSpec,
    AskCircle,
    AskTimeout,
    ByKey,
    MailboxSpec,
    PoolSpec,
    System,
    open_system,
    receive,
)
from tests.anima.actors.puppets import Do, idle


class Player(Actor[Do]):
    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)


async def players(system: System, ids: str) -> list[ActorRef[Do]]:
    return [await system.spawn(id, Player) for id in ids]


def ask(ref: ActorRef[Do], code: Callable[[Any], Awaitable[Any]] = idle) -> Callable[[Any], Awaitable[Any]]:
    """Code that asks `ref` to run `code`."""

    async def asks(_: object) -> Any:
        return await ref.ask(Do(code))

    return asks


def refused(code: Callable[[Any], Awaitable[Any]]) -> Callable[[Any], Awaitable[Any]]:
    """Code that returns the circle that `code` would close."""

    async def catches(actor: Player) -> tuple[str, ...]:
        with pytest.raises(AskCircle) as info:
            await code(actor)
        assert " -> ".join([*info.value.circle, info.value.circle[0]]) in str(info.value)
        return info.value.circle

    return catches


# Circles


@pytest.mark.parametrize("ids", ["a", "ab", "abcde"])
async def test_an_ask_that_closes_a_circle_says_who_is_in_it_and_takes_no_time(
    autojump_clock: MockClock, ids: str
) -> None:
    async with open_system() as system:
        refs = await players(system, ids)
        code = refused(ask(refs[0]))
        for ref in reversed(refs[1:]):
            code = ask(ref, code)
        began = trio.current_time()
        circle = await refs[0].ask(Do(code))
        names = [ref.path for ref in refs]
        assert circle == (names[-1], *names[:-1])  # whoever would have closed it is the first
        assert trio.current_time() == began
        assert [await ref.ask(Do(idle)) for ref in refs] == ["done"] * len(refs)


async def test_a_circle_through_a_pool_is_refused(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        [a] = await players(system, "a")
        pool = await system.spawn(PoolSpec(ActorSpec("pool", Player), replicas=3, route=ByKey(lambda _: "same")))
        circle = await pool.ask(Do(ask(a, refused(ask(pool)))))
        assert circle[0] == "home/a"
        assert circle[1].startswith("home/pool/")
        assert trio.current_time() == 0


async def test_a_circle_through_a_message_that_was_left_to_another_member_of_a_pool_is_refused(
    autojump_clock: MockClock,
) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        [a] = await players(system, "a")
        pool = await system.spawn(PoolSpec(ActorSpec("pool", Player), replicas=2))
        went_on = trio.Event()

        async def work(_: object) -> None:
            await went_on.wait()

        pool.tell(Do(idle))
        pool.tell(Do(work))  # holds up member 2
        pool.tell(Do(idle))
        await wait_all_tasks_blocked()
        found: list[object] = []

        @nursery.start_soon
        async def ask_a() -> None:  # whose question waits behind that work
            found.append(await a.ask(Do(ask(pool, refused(ask(a))))))

        await wait_all_tasks_blocked()
        nursery.start_soon(system.resize, pool, 1)
        await wait_all_tasks_blocked()
        went_on.set()
        await wait_all_tasks_blocked()
        assert found == [("home/pool/1", "home/a")]


async def test_a_circle_through_a_pool_is_refused_also_where_its_first_choice_has_no_room(
    autojump_clock: MockClock,
) -> None:
    async with open_system() as system:
        [a] = await players(system, "a")
        pool = await system.spawn(PoolSpec(ActorSpec("pool", Player, mailbox=MailboxSpec(1)), replicas=2))
        go = trio.Event()

        async def wait(_: object) -> None:
            await go.wait()

        one, two = system.ref("home/pool/1", Player), system.ref("home/pool/2", Player)
        one.tell(Do(wait))
        await wait_all_tasks_blocked()
        one.tell(Do(idle))  # it is full, and its turn comes first
        circle = await two.ask(Do(ask(a, refused(ask(pool)))))
        assert circle == ("home/a", "home/pool/2")
        go.set()


async def test_an_ask_back_to_who_waits_for_room_is_a_circle(autojump_clock: MockClock) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        [a] = await players(system, "a")
        b = await system.spawn(ActorSpec("b", Player, mailbox=MailboxSpec(1)))
        go = trio.Event()
        found: list[object] = []

        async def ask_a_later(actor: Player) -> None:
            await go.wait()
            found.append(await refused(ask(a))(actor))

        async def put(_: object) -> None:
            await b.put(Do(idle))

        b.tell(Do(ask_a_later))
        await wait_all_tasks_blocked()
        b.tell(Do(idle))  # it is full now
        nursery.start_soon(a.ask, Do(put))
        await wait_all_tasks_blocked()
        go.set()
        await wait_all_tasks_blocked()
        assert found == [("home/b", "home/a")]


async def test_a_put_that_would_wait_for_who_waits_is_a_circle(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        [a] = await players(system, "a")
        b = await system.spawn(ActorSpec("b", Player, mailbox=MailboxSpec(1)))

        async def fill_and_put(actor: Player) -> Any:
            b.tell(Do(idle))

            async def put(_: object) -> None:
                await b.put(Do(idle))

            return await a.ask(Do(refused(put)))

        assert await b.ask(Do(fill_and_put)) == ("home/a", "home/b")


async def test_a_put_into_its_own_full_mailbox_is_a_circle_of_one(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        a = await system.spawn(ActorSpec("a", Player, mailbox=MailboxSpec(1)))

        async def put_twice(_: object) -> Any:
            await a.put(Do(idle))  # there is room: nobody waits
            await a.put(Do(idle))

        assert await a.ask(Do(refused(put_twice))) == ("home/a",)


async def test_a_circle_closed_by_a_task_of_the_handler_is_refused(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        a, b = await players(system, "ab")

        async def ask_in_nursery(actor: Player) -> Any:
            found: list[object] = []

            async def deeper() -> None:
                async with trio.open_nursery() as inner:

                    @inner.start_soon
                    async def asks() -> None:
                        found.append(await refused(ask(a))(actor))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(deeper)
            return found

        assert await a.ask(Do(ask(b, ask_in_nursery))) == [("home/b", "home/a")]


async def test_a_circle_over_the_ask_of_a_task_of_a_handler_is_refused(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        a, b, c = await players(system, "abc")

        async def ask_both(_: Player) -> Any:
            found: list[object] = []

            async def asks(ref: ActorRef[Do], code: Callable[[Any], Awaitable[Any]]) -> None:
                found.append(await ref.ask(Do(code)))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(asks, c, idle)
                nursery.start_soon(asks, b, refused(ask(a)))
            return found

        assert ("home/b", "home/a") in await a.ask(Do(ask_both))


# What is none


async def test_a_task_in_a_nursery_outside_of_the_handler_may_ask_back(autojump_clock: MockClock) -> None:
    found: list[object] = []
    async with open_system() as system, trio.open_nursery() as outside:
        a, b = await players(system, "ab")

        async def start_and_wait(_: object) -> None:
            @outside.start_soon
            async def asks() -> None:
                found.append(await a.ask(Do(idle)))

            await trio.sleep(1)

        await a.ask(Do(ask(b, start_and_wait)))
        await wait_all_tasks_blocked()
    assert found == ["done"]


async def test_telling_the_asker_or_asking_somebody_else_is_no_circle(autojump_clock: MockClock) -> None:
    told: list[str] = []
    async with open_system() as system:
        a, b, c = await players(system, "abc")

        async def note(_: object) -> None:
            told.append("told")

        async def tell_and_ask(_: object) -> Any:
            a.tell(Do(note))
            await a.put(Do(note))
            return await c.ask(Do(idle))

        assert await a.ask(Do(ask(b, tell_and_ask))) == "done"
        await a.ask(Do(idle))
        assert told == ["told", "told"]


async def test_two_that_ask_the_same_one_are_no_circle(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        a, b, c = await players(system, "abc")

        async def ask_c_twice(_: object) -> Any:
            return [await c.ask(Do(idle)), await b.ask(Do(ask(c)))]

        assert await a.ask(Do(ask_c_twice)) == ["done", "done"]


async def test_who_was_answered_can_be_asked_back_at_once(autojump_clock: MockClock) -> None:
    """The asker has its reply, also where it had no time yet to take it."""
    found: list[object] = []
    async with open_system() as system:
        a, b = await players(system, "ab")

        async def ask_back(_: object) -> None:
            found.append(await a.ask(Do(idle)))

        async def answer(_: object) -> str:
            b.tell(Do(ask_back))
            return "answer"

        for _ in range(10):
            assert await a.ask(Do(ask(b, answer))) == "answer"
        await wait_all_tasks_blocked()
        assert found == ["done"] * 10


async def test_who_has_timed_out_can_be_asked_back_at_once(autojump_clock: MockClock) -> None:
    found: list[object] = []
    async with open_system() as system:
        a, b = await players(system, "ab")

        async def ask_back(_: object) -> None:
            found.append(await a.ask(Do(idle)))

        async def never(_: object) -> None:
            b.tell(Do(ask_back))
            await trio.sleep_forever()

        async def give_up(_: object) -> None:
            with pytest.raises(AskTimeout):
                await b.ask(Do(never), timeout=1)

        for _ in range(10):
            await a.ask(Do(give_up))
        await wait_all_tasks_blocked()
        assert found == ["done"] * 10


async def test_who_was_let_into_a_full_mailbox_can_be_asked_back_at_once(autojump_clock: MockClock) -> None:
    found: list[object] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        [a] = await players(system, "a")
        b = await system.spawn(ActorSpec("b", Player, mailbox=MailboxSpec(1)))
        go = trio.Event()

        async def wait(_: object) -> None:
            await go.wait()

        async def ask_back(_: object) -> None:
            found.append(await a.ask(Do(idle)))

        async def put(_: object) -> None:
            await b.put(Do(idle))

        b.tell(Do(wait))
        await wait_all_tasks_blocked()
        b.tell(Do(ask_back))  # when this is taken out, what `a` wants to put has room
        nursery.start_soon(a.ask, Do(put))
        await wait_all_tasks_blocked()
        go.set()
        await wait_all_tasks_blocked()
        assert found == ["done"]


async def test_a_child_may_ask_its_parent_that_is_idle(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        [parent] = await players(system, "p")

        async def spawn(actor: Player) -> Any:
            return await actor.spawn("child", Player)

        child: ActorRef[Do] = await parent.ask(Do(spawn))
        assert await child.ask(Do(ask(parent))) == "done"


async def test_a_child_that_asks_back_while_its_parent_waits_for_it_is_a_circle(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        [parent] = await players(system, "p")

        async def spawn_and_ask(actor: Player) -> Any:
            child = await actor.spawn("child", Player)
            return await child.ask(Do(refused(ask(parent))))

        assert await parent.ask(Do(spawn_and_ask)) == ("home/p/child", "home/p")
