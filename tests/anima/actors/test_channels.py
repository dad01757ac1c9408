"""An actor's mailbox and an inbox as channels: what is written for Trio's channels works with them."""

from __future__ import annotations

import pytest
import trio
from trio.testing import assert_checkpoints, wait_all_tasks_blocked

from anima.actors import Actor, MailboxSpec, message, open_system, receive


@message
class Note:
    text: str


class Keeper(Actor[Note]):
    """Keeps the next note when it is let."""

    mailbox = MailboxSpec(capacity=1)

    def __init__(self, kept: list[str], go_on: trio.Semaphore) -> None:
        self._kept = kept
        self._go_on = go_on

    @receive
    async def keep(self, note: Note) -> None:
        await self._go_on.acquire()
        self._kept.append(note.text)


async def copy(source: trio.abc.ReceiveChannel[Note], target: trio.abc.SendChannel[Note], count: int) -> None:
    for _ in range(count):
        await target.send(await source.receive())


async def test_an_inbox_and_an_actor_are_the_two_ends_of_what_is_written_for_channels() -> None:
    kept: list[str] = []
    async with open_system() as system:
        keeper = await system.spawn("keeper", Keeper, kept, trio.Semaphore(10))
        async with system.open_inbox(Note) as inbox:
            for text in "abc":
                inbox.ref.tell(Note(text))
            await copy(inbox, keeper.sender(), 3)
        await wait_all_tasks_blocked()
    assert kept == ["a", "b", "c"]


async def test_sending_to_a_full_mailbox_waits_for_room() -> None:
    kept: list[str] = []
    go_on = trio.Semaphore(0)
    async with open_system() as system:
        keeper = await system.spawn("keeper", Keeper, kept, go_on)
        sender = keeper.sender()
        async with trio.open_nursery() as nursery:
            for text in "abc":
                nursery.start_soon(sender.send, Note(text))
                await wait_all_tasks_blocked()
            statistics = keeper.statistics()
            assert statistics is not None
            assert (statistics.length, statistics.tasks_waiting_put) == (1, 1)
            for _ in "abc":
                go_on.release()
        await wait_all_tasks_blocked()
    assert kept == ["a", "b", "c"]


async def test_every_send_and_every_receive_is_a_checkpoint() -> None:
    async with open_system() as system, system.open_inbox(Note) as inbox:
        with assert_checkpoints():
            await inbox.ref.sender().send(Note("a"))
        with assert_checkpoints():
            await inbox.receive()


async def test_a_closed_end_says_so_and_the_actor_goes_on() -> None:
    kept: list[str] = []
    async with open_system() as system:
        keeper = await system.spawn("keeper", Keeper, kept, trio.Semaphore(10))
        async with keeper.sender() as sender:
            await sender.send(Note("a"))
        with pytest.raises(trio.ClosedResourceError):
            await sender.send(Note("b"))
        await keeper.sender().send(Note("c"))
        await wait_all_tasks_blocked()
        await system.stop(keeper)
        with pytest.raises(trio.BrokenResourceError):
            await keeper.sender().send(Note("d"))
    assert kept == ["a", "c"]


async def test_a_closed_inbox_receives_no_more_and_what_is_left_are_dead_letters() -> None:
    async with open_system() as system, system.open_inbox(Note) as inbox:
        inbox.ref.tell(Note("left"))
        await inbox.aclose()
        with pytest.raises(trio.ClosedResourceError):
            await inbox.receive()
        assert [letter.message for letter in system.dead_letters] == [Note("left")]
