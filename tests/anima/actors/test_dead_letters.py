"""Dead letters: what is kept of a message that nobody took, and sending it again."""

from __future__ import annotations

import time
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import ActorSpec, DeadLettered, MailboxFull, MailboxSpec, Reason, Refused, actor_events, open_system
from anima_supervisors import Inline
from anima_supervisors.testing import EventLog
from tests.anima.actors.puppets import Do, fail, idle
from tests.anima.actors.tracers import Note, Player, tell


async def test_a_message_to_an_address_without_an_actor_is_a_dead_letter() -> None:
    async with open_system() as system:
        system.ref("home/nobody", Player).tell(Note("outside"))
        sender = await system.spawn("sender", Player)
        await sender.ask(tell(system.ref("home/nobody"), Note("from an actor")))
        outside, inside = system.dead_letters
        assert (outside.message, outside.to, outside.sender) == (Note("outside"), "home/nobody", None)
        assert (outside.reason, outside.attempts, outside.error) == (Reason.NO_ACTOR, 0, None)
        assert abs(outside.time - time.time()) < 60
        assert (outside.trace, outside.hops, outside.way) == (None, 1, ())
        assert (inside.sender, inside.hops, inside.way) == ("home/sender", 2, ("home/sender",))
        assert inside.trace is not None
        assert len(inside.trace) == 32
        assert int(inside.trace, 16) > 0


async def test_a_message_to_an_actor_that_has_ended_is_a_dead_letter() -> None:
    async with open_system() as system:
        ref = await system.spawn("player", Player)
        await system.stop(ref)
        ref.tell(Note("late"))
        [letter] = system.dead_letters
        assert letter.reason is Reason.NO_ACTOR


async def test_each_dead_letter_is_an_event_and_is_counted_by_its_reason() -> None:
    events = EventLog()

    async def refuse(_: object) -> None:
        raise Refused("no")

    async with open_system(on_event=Inline(events)) as system:
        ref = await system.spawn("player", Player)
        ref.tell(Do(fail))
        ref.tell(Do(refuse))
        await ref.ask(Do(idle))
        system.ref("home/nobody").tell(Note("1"))
        system.ref("home/nobody").tell(Note("2"))
        assert system.dead_letters.counts == {Reason.QUARANTINED: 1, Reason.REFUSED: 1, Reason.NO_ACTOR: 2}
        told = [(event.path, event.reason, event.message, event.attempts) for event in events.of(DeadLettered)]
        assert told[0] == ("home/player", "quarantined", "Do", 1)
        assert told[1][:3] == ("home/player", "refused", "Do")
        assert told[2:] == [("home/nobody", "no_actor", "Note", 0)] * 2
        assert "broken" in str(events.of(DeadLettered)[0].error)
    assert actor_events()["message.dead_letter"] is DeadLettered


async def test_only_the_last_ones_are_kept_and_all_are_counted() -> None:
    async with open_system(kept_letters=2) as system:
        for n in range(5):
            system.ref("home/nobody").tell(Note(f"{n}"))
        assert [letter.message for letter in system.dead_letters] == [Note("3"), Note("4")]
        assert len(system.dead_letters) == 2
        assert system.dead_letters.counts[Reason.NO_ACTOR] == 5
        [first, last] = system.dead_letters
        assert system.dead_letters.get(last.id) is last
        assert system.dead_letters.get(first.id - 1) is None


async def test_a_dead_letter_can_be_dropped() -> None:
    async with open_system() as system:
        system.ref("home/nobody").tell(Note("1"))
        [letter] = system.dead_letters
        system.dead_letters.drop(letter.id)
        assert len(system.dead_letters) == 0
        with pytest.raises(KeyError):
            system.dead_letters.drop(letter.id)


async def test_a_dead_letter_can_be_sent_again_and_is_none_any_more() -> None:
    log: list[Any] = []
    async with open_system() as system:
        system.ref("home/player").tell(Note("patient"))
        [letter] = system.dead_letters
        await system.spawn("player", Player, log)
        system.dead_letters.resend(letter.id)
        await wait_all_tasks_blocked()
        assert [text for text, _ in log] == ["patient"]
        assert len(system.dead_letters) == 0
        with pytest.raises(KeyError):
            system.dead_letters.resend(letter.id)


async def test_what_is_sent_again_is_handled_as_if_for_the_first_time() -> None:
    crashes = [True, True, True, False]

    async def fragile(_: object) -> None:
        if crashes.pop(0):
            raise ValueError("broken")

    async with open_system() as system:
        ref = await system.spawn(ActorSpec("player", Player, attempts=2))
        ref.tell(Do(fragile))
        await wait_all_tasks_blocked()
        [letter] = system.dead_letters
        assert letter.attempts == 2
        system.dead_letters.resend(letter.id)
        await wait_all_tasks_blocked()
        assert crashes == []
        assert len(system.dead_letters) == 0


async def test_a_dead_letter_that_cannot_be_sent_again_is_kept(autojump_clock: MockClock) -> None:
    async def busy(_: object) -> None:
        await trio.sleep(1)

    async with open_system() as system:
        system.ref("home/player").tell(Note("1"))
        [letter] = system.dead_letters
        ref = await system.spawn(ActorSpec("player", Player, mailbox=MailboxSpec(1)))
        ref.tell(Do(busy))
        await wait_all_tasks_blocked()
        ref.tell(Note("in its way"))
        with pytest.raises(MailboxFull):
            system.dead_letters.resend(letter.id)
        assert system.dead_letters.get(letter.id) is letter


async def test_sending_again_to_nobody_makes_a_new_dead_letter_however_few_are_kept() -> None:
    async with open_system(kept_letters=1) as system:
        system.ref("home/nobody").tell(Note("1"))
        [before] = system.dead_letters
        system.dead_letters.resend(before.id)
        [after] = system.dead_letters
        assert after.id != before.id
        assert after.message == before.message
