"""The stash: what a handler puts aside, and brings back."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorStopped,
    AskTimeout,
    MailboxSpec,
    Reason,
    Refused,
    StashFull,
    Stop,
    open_system,
    receive,
)
from tests.anima.actors.notes import Note, Notes, Unstash, crash, notes


def stash_in(incarnations: int, after: Callable[[Notes], object] = lambda _: None) -> Callable[[Notes], None]:
    """Puts the message aside so many times, and not again."""
    left = [incarnations]

    def then(actor: Notes) -> None:
        if left[0]:
            left[0] -= 1
            actor.stash()
            after(actor)

    return then


async def test_what_was_stashed_comes_back_in_its_order_before_the_mailbox() -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log)
        for text in ("a", "b", "c"):
            ref.tell(Note(text, stash_in(1)))
        ref.tell(Note("between"))
        ref.tell(Unstash())
        ref.tell(Note("last"))
        await wait_all_tasks_blocked()
        assert log == ["a", "b", "c", "between", "a", "b", "c", "last"]


async def test_a_stash_holds_as_much_as_the_mailbox() -> None:
    caught: list[StashFull] = []

    def stash(actor: Notes) -> None:
        try:
            actor.stash()
        except StashFull as error:
            caught.append(error)

    async with open_system() as system:
        ref = await notes(system, [], mailbox=MailboxSpec(2))
        for _ in range(3):
            await ref.put(Note("aside", stash))
        await wait_all_tasks_blocked()
        assert "home/notes" in str(caught[0])
        assert len(caught) == 1


async def test_stashing_twice_or_outside_of_a_handler_is_an_error_of_the_program() -> None:
    class Eager(Notes):
        async def started(self) -> None:
            with pytest.raises(RuntimeError, match="being handled"):
                self.stash()

    def twice(actor: Notes) -> None:
        actor.stash()
        with pytest.raises(RuntimeError, match="once"):
            actor.stash()

    async with open_system() as system:
        ref = await system.spawn("notes", Eager, [])
        ref.tell(Note("aside", twice))
        await wait_all_tasks_blocked()


async def test_a_stash_survives_crashes_in_its_order() -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log)
        for text in ("a", "b"):
            ref.tell(Note(text, stash_in(2)))
        ref.tell(Note("crash", crash))  # brings them back, and they are put aside again
        ref.tell(Note("crash", crash))
        ref.tell(Note("last"))
        await wait_all_tasks_blocked()
        assert log == ["a", "b", "crash", "a", "b", "crash", "a", "b", "last"]


async def test_asks_in_the_stash_go_on_waiting(autojump_clock: MockClock) -> None:
    log: list[str] = []
    answers: list[str] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await notes(system, log)

        @nursery.start_soon
        async def patient() -> None:
            answers.append(await ref.ask(Note("a", stash_in(1)), timeout=5))

        @nursery.start_soon
        async def impatient() -> None:
            with pytest.raises(AskTimeout, match="home/notes"):
                await ref.ask(Note("b", stash_in(1)), timeout=1)

        await trio.sleep(2)
        assert answers == []
        ref.tell(Unstash())
        await wait_all_tasks_blocked()
        assert answers == ["a"]
        assert sorted(log) == ["a", "a", "b"]
        [letter] = system.dead_letters
        assert letter.reason is Reason.EXPIRED


async def test_what_is_in_the_stash_at_the_end_is_left_over_and_its_asker_hears_of_it() -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await notes(system, [])

        @nursery.start_soon
        async def ask() -> None:
            with pytest.raises(ActorStopped):
                await ref.ask(Note("asked", stash_in(1)))

        await wait_all_tasks_blocked()
        ref.tell(Stop())
        await ref.wait_ended()
        [letter] = system.dead_letters
        assert letter.reason is Reason.LEFT_OVER


@pytest.mark.parametrize("attempts", [1, 2])
async def test_a_message_that_is_stashed_and_crashes_is_accounted_for_once(attempts: int) -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log, attempts=attempts)
        ref.tell(Note("both", stash_in(1, crash)))
        ref.tell(Note("after"))
        ref.tell(Unstash())
        await wait_all_tasks_blocked()
        # Once quarantined, or once handled again; never both.
        assert log.count("both") - 1 + len(system.dead_letters) == 1
        assert log[-1] == "after"


async def test_a_message_that_is_stashed_and_refused_is_accounted_for_once() -> None:
    def refuse(_: object) -> None:
        raise Refused("no")

    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log)
        ref.tell(Note("both", stash_in(1, refuse)))
        ref.tell(Unstash())
        await wait_all_tasks_blocked()
        assert log.count("both") - 1 + len(system.dead_letters) == 1


async def test_a_request_that_is_stashed_and_cut_short_is_not_handled_again(autojump_clock: MockClock) -> None:
    class Slow(Actor[Note | Unstash]):
        def __init__(self) -> None:
            self.log: list[str] = []

        @receive
        async def note(self, message: Note) -> str:
            self.log.append(message.text)
            if message.text == "aside":
                self.stash()
                await trio.sleep_forever()
            return str(self.log)

        @receive
        async def bring_back(self, message: Unstash) -> None:
            self.unstash()

    async with open_system() as system:
        ref = await system.spawn("slow", Slow)
        with pytest.raises(AskTimeout):
            await ref.ask(Note("aside"), timeout=1)
        ref.tell(Unstash())
        assert await ref.ask(Note("last")) == "['aside', 'last']"


async def test_a_handler_can_bring_back_the_stash_and_put_its_own_message_aside() -> None:
    log: list[str] = []
    async with open_system() as system:
        ref = await notes(system, log)
        ref.tell(Note("a", stash_in(1)))
        ref.tell(Note("b", stash_in(1, lambda actor: actor.unstash())))
        await wait_all_tasks_blocked()
        assert log == ["a", "b", "a"]
        ref.tell(Unstash())
        await wait_all_tasks_blocked()
        assert log == ["a", "b", "a", "b"]
