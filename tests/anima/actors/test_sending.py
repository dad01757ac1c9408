"""What senders see: refusals, order, full mailboxes."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    ActorRef,
    ActorSpec,
    ActorStopped,
    MailboxFull,
    MailboxSpec,
    MailboxStatistics,
    NotAccepted,
    Overflow,
    Reason,
    Stop,
    message,
    open_system,
)
from tests.anima.actors.notes import Note, Plain, Wait
from tests.anima.actors.puppets import Do


@message
class LongNote(Note):
    pass


async def test_what_an_actor_does_not_take_is_refused_at_the_sender() -> None:
    text: Any = "text"
    async with open_system() as system:
        ref: ActorRef[Any] = await system.spawn("plain", Plain)
        with pytest.raises(NotAccepted, match="home/plain does not accept str; it takes Do, Note, Stop, Wait"):
            ref.tell(text)
        with pytest.raises(NotAccepted):
            await ref.put(text)
        with pytest.raises(NotAccepted):
            await ref.ask(text)
        assert _statistics(ref).received == 0
        assert len(system.dead_letters) == 0


async def test_subclasses_of_what_an_actor_takes_go_where_their_base_goes() -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await system.spawn("plain", Plain, log)
        ref.tell(LongNote("told"))
        await ref.put(LongNote("put"))
        assert await ref.ask(LongNote("asked")) == "asked"
        assert log == ["told", "put", "asked"]


def _statistics(ref: ActorRef[Any]) -> MailboxStatistics:
    statistics = ref.statistics()
    assert statistics is not None
    return statistics


async def notes(system: Any, log: list[str], **more: Any) -> ActorRef[Do | Note | Wait | Stop]:
    ref: ActorRef[Do | Note | Wait | Stop] = await system.spawn(
        ActorSpec("notes", functools.partial(Plain, log), **more)
    )
    return ref


async def test_messages_of_one_sender_are_handled_in_their_order() -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log, mailbox=MailboxSpec(3))
        for n in range(20):
            if n % 3:
                await ref.put(Note(f"{n}"))
            else:
                await ref.ask(Note(f"{n}"))
        await ref.ask(Note("last"))
    assert log == [*map(str, range(20)), "last"]


async def test_a_full_mailbox_rejects_what_is_told_and_lets_in_what_is_put() -> None:
    log: list[str] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await notes(system, log, mailbox=MailboxSpec(2))
        ref.tell(Note("1"))
        ref.tell(Note("2"))
        with pytest.raises(MailboxFull, match="the mailbox of home/notes is full"):
            ref.tell(Note("rejected"))
        nursery.start_soon(ref.put, Note("3"))
        await wait_all_tasks_blocked()
        assert log == ["1", "2", "3"]
        assert len(system.dead_letters) == 0


@pytest.mark.parametrize(
    ("overflow", "kept", "dropped"),
    [(Overflow.DROP_OLDEST, ["2", "3"], "1"), (Overflow.DROP_NEWEST, ["1", "2"], "3")],
)
async def test_what_is_dropped_for_want_of_room_is_a_dead_letter(
    overflow: Overflow, kept: list[str], dropped: str
) -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log, mailbox=MailboxSpec(2, overflow))
        for n in (1, 2, 3):
            ref.tell(Note(f"{n}"))
        assert _statistics(ref).dropped == 1
        await wait_all_tasks_blocked()
        assert log == kept
        [letter] = system.dead_letters
        assert (letter.message, letter.reason) == (Note(dropped), Reason.DROPPED)


async def test_a_put_that_waits_for_room_is_not_sent_when_it_is_cancelled_and_hears_of_the_end(
    autojump_clock: MockClock,
) -> None:
    log: list[str] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await notes(system, log, mailbox=MailboxSpec(1))
        ref.tell(Wait(3))
        await wait_all_tasks_blocked()
        ref.tell(Note("in the mailbox"))
        with trio.move_on_after(1):
            await ref.put(Note("cancelled"))

        @nursery.start_soon
        async def put() -> None:
            with pytest.raises(ActorStopped):
                await ref.put(Note("too late"))

        await wait_all_tasks_blocked()
        assert _statistics(ref).tasks_waiting_put == 1
        ref.tell(Stop())  # overtakes what is in the full mailbox
        await ref.wait_ended()
        assert trio.current_time() == 3
        assert log == []
        assert [letter.message for letter in system.dead_letters] == [Note("in the mailbox")]


async def test_the_statistics_tell_what_is_in_the_mailbox_and_what_it_has_seen(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        ref = await notes(system, [], mailbox=MailboxSpec(7))
        await wait_all_tasks_blocked()
        assert _statistics(ref) == MailboxStatistics(0, 7, 0, 0, 1, 0, 0)
        ref.tell(Wait(1))
        await wait_all_tasks_blocked()
        ref.tell(Note("1"))
        ref.tell(Stop())
        assert _statistics(ref) == MailboxStatistics(1, 7, 1, 0, 0, 2, 0)
        await ref.wait_ended()
        assert ref.statistics() is None
