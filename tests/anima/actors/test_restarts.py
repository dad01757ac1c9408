"""What a restart leaves as it was: address, mailbox; and what becomes of the message that crashed."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import ActorSpec, AskFailed, Reason, open_system
from anima_supervisors import Backoff, DynamicSupervisorSpec, Exited, Inline, Kill, Restart, Strategy, SupervisorSpec
from anima_supervisors.testing import EventLog
from tests.anima.actors.notes import Note, Notes, Wait, crash, notes


def crash_in(incarnations: int) -> Callable[[Notes], None]:
    """Crashes so many times, and not again."""
    left = [incarnations]

    def then(_: Notes) -> None:
        if left[0]:
            left[0] -= 1
            raise ValueError("broken")

    return then


async def test_the_mailbox_survives_a_crash_and_what_crashed_does_not_come_back() -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log)
        ref.tell(Note("crash", crash))
        ref.tell(Note("1"))
        ref.tell(Note("2"))
        assert await ref.ask(Note("3")) == "3"
        assert log == ["crash", "1", "2", "3"]
        [letter] = system.dead_letters
        assert (letter.reason, letter.attempts, letter.to) == (Reason.QUARANTINED, 1, "home/notes")
        assert letter.error is not None
        assert "broken" in letter.error


async def test_messages_wait_while_the_actor_waits_for_its_restart(autojump_clock: MockClock) -> None:
    log: list[str] = []
    spec = DynamicSupervisorSpec(backoff=Backoff(initial=10, maximum=10, jitter=0))
    async with open_system(spec) as system:
        ref = await notes(system, log)
        ref.tell(Note("crash", crash))
        await wait_all_tasks_blocked()
        assert not ref.ended
        ref.tell(Note("1"))
        assert await ref.ask(Note("2"), timeout=20) == "2"
        assert trio.current_time() == 10
        assert log == ["crash", "1", "2"]


async def test_the_mailbox_survives_the_restart_of_its_group(autojump_clock: MockClock) -> None:
    logs: dict[str, list[str]] = {"a": [], "b": []}
    specs = [ActorSpec(id, functools.partial(Notes, logs[id])).child() for id in logs]
    events = EventLog()
    root = SupervisorSpec(strategy=Strategy.ONE_FOR_ALL, children=specs)
    async with open_system(root, on_event=Inline(events)) as system:
        a, b = system.ref("home/a", Notes), system.ref("home/b", Notes)
        a.tell(Wait(1))
        await wait_all_tasks_blocked()
        for n in range(3):
            a.tell(Note(f"{n}"))
        b.tell(Note("crash", crash))
        b.tell(Note("after"))
        await trio.sleep(2)
        assert events.paths(Exited) == ["home/b", "home/a"]
        assert logs == {"a": ["0", "1", "2"], "b": ["crash", "after"]}
        assert [letter.message for letter in system.dead_letters] == [Note("crash", crash)]


async def test_who_stays_down_with_a_terminated_member_of_its_group_has_ended() -> None:
    specs = [ActorSpec(id, functools.partial(Notes, [])).child() for id in "ab"]
    root = SupervisorSpec(strategy=Strategy.ONE_FOR_ALL, backoff=Backoff(initial=10, maximum=10), children=specs)
    async with open_system(root) as system:
        a, b = system.ref("home/a", Notes), system.ref("home/b", Notes)
        a.tell(Note("crash", crash))
        await wait_all_tasks_blocked()
        b.tell(Note("kept"))
        assert len(system.dead_letters) == 1
        await system.stop(a)
        assert b.ended
        assert [letter.reason for letter in system.dead_letters] == [Reason.QUARANTINED, Reason.LEFT_OVER]


@pytest.mark.parametrize("crashes", [1, 2])
async def test_a_message_comes_back_before_all_others_as_often_as_attempts_says(crashes: int) -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log, attempts=3)
        ref.tell(Note("fragile", crash_in(crashes)))
        ref.tell(Note("after"))
        await wait_all_tasks_blocked()
        assert log == ["fragile"] * (crashes + 1) + ["after"]
        assert len(system.dead_letters) == 0


async def test_a_message_that_crashes_its_actor_too_often_is_quarantined() -> None:
    class Stubborn(Notes):
        attempts = 2

    log: list[str] = []
    async with open_system() as system:
        ref = await system.spawn("notes", Stubborn, log)
        ref.tell(Note("poison", crash))
        ref.tell(Note("after"))
        await wait_all_tasks_blocked()
        assert log == ["poison", "poison", "after"]
        [letter] = system.dead_letters
        assert (letter.reason, letter.attempts) == (Reason.QUARANTINED, 2)


async def test_a_request_that_comes_back_after_a_crash_is_answered(autojump_clock: MockClock) -> None:
    log: list[str] = []
    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        ref = await notes(system, log, attempts=2)
        assert await ref.ask(Note("fragile", crash_in(1))) == "fragile"
        with pytest.raises(AskFailed) as info:
            await ref.ask(Note("poison", crash))
        assert isinstance(info.value.__cause__, ValueError)
        assert log == ["fragile", "fragile", "poison", "poison"]
        assert len(events.of(Exited)) == 3


async def test_a_message_that_was_cut_off_by_the_end_of_its_incarnation_is_accounted_for(
    autojump_clock: MockClock,
) -> None:
    async with open_system() as system:
        ref = await notes(system, [], shutdown=Kill())
        ref.tell(Wait(100))
        await wait_all_tasks_blocked()
        await system.stop(ref)
        [letter] = system.dead_letters
        assert (letter.message, letter.reason, letter.attempts) == (Wait(100), Reason.INTERRUPTED, 1)


async def test_what_is_left_at_the_end_are_dead_letters_and_a_new_actor_begins_empty() -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log, restart=Restart.TEMPORARY)
        ref.tell(Note("crash", crash))
        ref.tell(Note("left over"))
        await wait_all_tasks_blocked()
        assert ref.ended
        assert [letter.reason for letter in system.dead_letters] == [Reason.QUARANTINED, Reason.LEFT_OVER]
        await notes(system, log)
        assert await ref.ask(Note("new")) == "new"  # the old address reaches the new actor
        assert log == ["crash", "new"]


@pytest.mark.parametrize("where", ["init", "started"])
async def test_the_mailbox_survives_a_restart_that_fails_at_first(where: str) -> None:
    made: list[str] = []

    def fail_the_second_time(here: str) -> None:
        if here == where:
            made.append(here)
            if len(made) == 2:
                raise ValueError("not this time")

    class Fragile(Notes):
        def __init__(self, log: list[str]) -> None:
            super().__init__(log)
            fail_the_second_time("init")

        async def started(self) -> None:
            fail_the_second_time("started")

    log: list[str] = []
    async with open_system() as system:
        ref = await system.spawn("notes", Fragile, log)
        ref.tell(Note("crash", crash))
        ref.tell(Note("1"))
        assert await ref.ask(Note("2")) == "2"
        assert len(made) == 3
        assert log == ["crash", "1", "2"]
