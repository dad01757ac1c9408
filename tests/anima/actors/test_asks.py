"""Asks: the reply, and what the asker is told when there is none."""

from __future__ import annotations

import functools

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    ActorSpec,
    ActorStopped,
    AskFailed,
    AskTimeout,
    MailboxDropped,
    MailboxSpec,
    Overflow,
    Reason,
    Refused,
    Stop,
    open_system,
)
from anima_supervisors import Exited, Inline
from anima_supervisors.testing import EventLog
from tests.anima.actors.puppets import Do, fail
from tests.anima.actors.workers import Double, DoubleTwice, Work, Worker


class TooBusy(Refused):
    pass


async def refuse(_: object) -> None:
    raise TooBusy("not now")


async def test_the_reply_is_what_the_handler_returns() -> None:
    async with open_system() as system:
        worker = await system.spawn("worker", Worker)
        assert await worker.ask(Double(21)) == 42
        assert await worker.ask(DoubleTwice(4)) == 8  # a subclass goes where its base goes


async def test_the_asker_gets_the_error_of_the_handler_as_the_cause() -> None:
    async with open_system() as system:
        worker = await system.spawn("worker", Worker)
        with pytest.raises(AskFailed, match="home/worker") as info:
            await worker.ask(Do(fail))
        assert isinstance(info.value.__cause__, ValueError)
        assert info.value.path == "home/worker"
        assert await worker.ask(Double(2)) == 4  # it is up again


async def test_a_refusal_reaches_the_asker_as_it_is_and_crashes_nobody() -> None:
    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        worker = await system.spawn("worker", Worker)
        with pytest.raises(TooBusy, match="not now"):
            await worker.ask(Do(refuse))
        assert len(system.dead_letters) == 0
        worker.tell(Do(refuse))
        assert await worker.ask(Double(2)) == 4
        [letter] = system.dead_letters
        assert letter.reason is Reason.REFUSED
        assert letter.error is not None
        assert "not now" in letter.error
        assert events.of(Exited) == []


async def test_nobody_at_an_address_is_said_at_once() -> None:
    async with open_system() as system:
        with pytest.raises(ActorStopped, match="home/nobody") as info:
            await system.ref("home/nobody", Worker).ask(Double(1))
        assert info.value.path == "home/nobody"
        worker = await system.spawn("worker", Worker)
        await system.stop(worker)
        with pytest.raises(ActorStopped):
            await worker.ask(Double(1))


async def test_an_ask_that_waits_in_the_mailbox_hears_of_the_end(autojump_clock: MockClock) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        worker = await system.spawn("worker", Worker)
        worker.tell(Work("first", 2))

        @nursery.start_soon
        async def ask() -> None:
            with pytest.raises(ActorStopped, match="home/worker"):
                await worker.ask(Double(1))
            assert trio.current_time() == 2

        await wait_all_tasks_blocked()
        worker.tell(Stop())


async def test_an_ask_whose_handler_is_killed_by_the_end_of_the_actor_hears_of_the_end(
    autojump_clock: MockClock,
) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        worker = await system.spawn("worker", Worker)

        @nursery.start_soon
        async def ask() -> None:
            with pytest.raises(ActorStopped, match="home/worker"):
                await worker.ask(Work("long", 100), timeout=100)
            assert trio.current_time() == 5

        await wait_all_tasks_blocked()
        await system.stop(worker)


async def test_a_request_that_is_handled_when_the_actor_is_told_to_stop_is_answered(autojump_clock: MockClock) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        worker = await system.spawn("worker", Worker)

        @nursery.start_soon
        async def ask() -> None:
            assert await worker.ask(Work("long", 3)) == "long"

        await wait_all_tasks_blocked()
        await system.stop(worker)


async def test_an_ask_waits_for_room_no_longer_than_for_its_reply(autojump_clock: MockClock) -> None:
    log: list[str] = []
    async with open_system() as system:
        small = ActorSpec("worker", functools.partial(Worker, log), mailbox=MailboxSpec(1))
        worker = await system.spawn(small)
        worker.tell(Work("first", 3))
        await wait_all_tasks_blocked()
        worker.tell(Work("second", 3))
        with pytest.raises(AskTimeout):
            await worker.ask(Work("gave up"), timeout=1)
        assert await worker.ask(Work("had room"), timeout=10) == "had room"
        assert trio.current_time() == 6
        assert log[-2:] == ["began had room", "did had room"]
        assert "began gave up" not in log


async def test_an_ask_that_is_dropped_for_want_of_room_fails_at_once() -> None:
    async with open_system() as system:
        spec = ActorSpec("worker", Worker, mailbox=MailboxSpec(1, Overflow.DROP_NEWEST))
        worker = await system.spawn(spec)
        worker.tell(Double(1))
        with pytest.raises(AskFailed) as info:
            await worker.ask(Double(2))
        assert isinstance(info.value.__cause__, MailboxDropped)
        [letter] = system.dead_letters
        assert (letter.message, letter.reason) == (Double(2), Reason.DROPPED)
