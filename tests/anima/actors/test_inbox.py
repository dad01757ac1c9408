"""Inboxes: an address for a plain task."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorRef,
    BadActor,
    MailboxFull,
    MailboxSpec,
    NotAccepted,
    Overflow,
    Reason,
    Request,
    Terminated,
    message,
    open_system,
    receive,
)
from anima_supervisors import BadSpec, ChildStartFailed, Normal


@message
class Story:
    title: str


@message
class Novel(Story):
    pass


@message
class Tell(Request[None]):
    """Tells a story to somebody."""

    to: ActorRef[Any]
    title: str


class Teller(Actor[Tell]):
    @receive
    async def tell(self, message: Tell) -> None:
        await message.to.put(Story(message.title))


class Mourner(Actor[Tell | Terminated]):
    """Watches whom it tells a story, and tells that it has ended to another inbox."""

    def __init__(self, other: ActorRef[Terminated]) -> None:
        self.other = other

    @receive
    async def tell(self, message: Tell) -> None:
        self.watch(message.to)

    @receive
    async def ended(self, message: Terminated) -> None:
        self.other.tell(message)


async def test_a_task_receives_what_actors_and_others_send_to_its_inbox() -> None:
    async with open_system() as system:
        teller = await system.spawn("teller", Teller)
        async with system.open_inbox(Story) as inbox:
            inbox.ref.tell(Story("told"))
            await inbox.ref.put(Novel("put"))
            await teller.ask(Tell(inbox.ref, "by an actor"))
            assert await inbox.receive() == Story("told")
            assert inbox.receive_nowait() == Novel("put")
            assert await inbox.receive() == Story("by an actor")
            with pytest.raises(trio.WouldBlock):
                inbox.receive_nowait()


async def test_an_inbox_can_be_iterated_over(autojump_clock: MockClock) -> None:
    titles: list[str] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        async with system.open_inbox(Story) as inbox:

            @nursery.start_soon
            async def write() -> None:
                for title in ("a", "b", "end"):
                    await trio.sleep(1)
                    inbox.ref.tell(Story(title))

            async for story in inbox:
                titles.append(story.title)
                if story.title == "end":
                    break
        assert titles == ["a", "b", "end"]
        assert trio.current_time() == 3


async def test_waiting_for_a_message_can_be_cancelled_and_takes_none(autojump_clock: MockClock) -> None:
    async with open_system() as system, system.open_inbox(Story) as inbox:
        with trio.move_on_after(1) as scope:
            await inbox.receive()
        assert scope.cancelled_caught
        inbox.ref.tell(Story("late"))
        with trio.CancelScope() as scope:
            scope.cancel()
            await inbox.receive()
        assert await inbox.receive() == Story("late")


async def test_an_inbox_takes_its_kinds_and_no_requests() -> None:
    async with open_system() as system:
        async with system.open_inbox(Story) as inbox:
            ref: ActorRef[Any] = inbox.ref
            for wrong in ("text", Tell(ref, "a")):
                with pytest.raises(NotAccepted, match="it takes Story"):
                    ref.tell(wrong)
            with pytest.raises(NotAccepted):
                await ref.put("text")
            with pytest.raises(NotAccepted):
                await ref.ask(Tell(ref, "a"))
        with pytest.raises(BadSpec, match="no requests"):
            async with system.open_inbox(Tell):
                pass
        with pytest.raises(BadSpec, match="at least one"):
            nothing: list[Any] = []
            async with system.open_inbox(*nothing):
                pass


async def test_what_is_left_at_the_end_of_the_block_are_dead_letters() -> None:
    async with open_system() as system:
        async with system.open_inbox(Story, name="stories") as inbox:
            ref = inbox.ref
            ref.tell(Story("left"))
        assert ref.ended
        ref.tell(Story("late"))
        left, late = system.dead_letters
        assert (left.message, left.to, left.reason) == (Story("left"), "home/stories", Reason.LEFT_OVER)
        assert (late.message, late.to, late.reason) == (Story("late"), "home/stories", Reason.NO_ACTOR)
        with pytest.raises(trio.ClosedResourceError):
            await inbox.receive()


async def test_the_mailbox_of_an_inbox_is_bounded() -> None:
    async with open_system() as system:
        async with system.open_inbox(Story, mailbox=MailboxSpec(1)) as inbox, trio.open_nursery() as nursery:
            inbox.ref.tell(Story("1"))
            with pytest.raises(MailboxFull):
                inbox.ref.tell(Story("rejected"))
            nursery.start_soon(inbox.ref.put, Story("2"))
            await wait_all_tasks_blocked()
            assert inbox.statistics().tasks_waiting_put == 1
            assert [await inbox.receive() for _ in range(2)] == [Story("1"), Story("2")]
        async with system.open_inbox(Story, mailbox=MailboxSpec(1, Overflow.DROP_OLDEST)) as inbox:
            inbox.ref.tell(Story("1"))
            inbox.ref.tell(Story("2"))
            assert await inbox.receive() == Story("2")
            assert [letter.reason for letter in system.dead_letters] == [Reason.DROPPED]


async def test_an_inbox_has_a_name_of_its_own_that_nobody_else_has() -> None:
    async with open_system() as system:
        async with system.open_inbox(Story) as one, system.open_inbox(Story, name="mine") as two:
            assert two.ref.path == "home/mine"
            assert one.ref.path.startswith("home/")
            assert one.ref != two.ref
            assert system.ref("home/mine") == two.ref
            with pytest.raises(BadActor, match="home/mine"):
                async with system.open_inbox(Story, name="mine"):
                    pass
            with pytest.raises(ChildStartFailed):
                await system.spawn("mine", Teller)
            two.ref.tell(Story("still there"))
            assert await two.receive() == Story("still there")
        await system.spawn("mine", Teller)
        with pytest.raises(BadActor, match="home/mine"):
            async with system.open_inbox(Story, name="mine"):
                pass


async def test_a_name_without_a_name_leaves_out_those_that_are_taken() -> None:
    async with open_system() as system:
        await system.spawn("inbox-1", Teller)
        async with system.open_inbox(Story) as inbox:
            assert inbox.ref.path != "home/inbox-1"


async def test_an_inbox_can_be_told_of_ends_and_its_own_end_is_told() -> None:
    async with open_system() as system:
        async with system.open_inbox(Terminated) as ends:
            mourner = await system.spawn("mourner", Mourner, ends.ref)
            async with system.open_inbox(Story) as stories:
                await mourner.ask(Tell(stories.ref, "watched"))
            ended = await ends.receive()
            assert ended.ref == stories.ref
            assert ended.reason == Normal()


async def test_who_waits_for_room_hears_of_the_end_of_an_inbox() -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        async with system.open_inbox(Story, mailbox=MailboxSpec(1)) as inbox:
            inbox.ref.tell(Story("1"))

            @nursery.start_soon
            async def put() -> None:
                with pytest.raises(Exception, match="ended") as info:
                    await inbox.ref.put(Story("2"))
                assert type(info.value).__name__ == "ActorStopped"

            await wait_all_tasks_blocked()
