"""What a handler takes out of its mailbox before its turn."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from anima.actors import Actor, AskFailed, MailboxSpec, Request, Stop, message, open_system, receive
from tests.anima.actors.puppets import Do


@message
class Note:
    text: str


@message
class Correction(Note):
    pass


@message
class Look(Request[str]):
    pass


class Writer(Actor[Do | Note | Look | Stop]):
    """Keeps what it handles, over restarts."""

    mailbox = MailboxSpec(4)

    def __init__(self, log: list[str]) -> None:
        self.log = log

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)

    @receive
    async def note(self, note: Note) -> None:
        self.log.append(note.text)

    @receive
    async def look(self, look: Look) -> str:
        self.log.append("look")
        return "seen"


class Writing:
    """A handler that waits for `go` and takes then what has come."""

    def __init__(self, kind: type = Note, error: Exception | None = None) -> None:
        self.go = trio.Event()
        self.taken: list[Any] = []
        self._kind = kind
        self._error = error

    async def __call__(self, writer: Writer) -> None:
        await self.go.wait()
        self.taken = writer.take_waiting(self._kind)
        if self._error is not None:
            raise self._error


async def test_a_handler_takes_what_waits_and_the_others_keep_their_order() -> None:
    writing, log = Writing(), list[str]()
    async with open_system() as system, trio.open_nursery() as nursery:
        writer = await system.spawn("writer", Writer, log)
        writer.tell(Do(writing))
        await wait_all_tasks_blocked()
        writer.tell(Note("a"))
        writer.tell(Do(_other))
        nursery.start_soon(writer.ask, Look())
        await wait_all_tasks_blocked()
        writer.tell(Correction("b"))
        writing.go.set()
        await wait_all_tasks_blocked()
        assert writing.taken == [Note("a"), Correction("b")]
        assert log == ["other", "look"]
        assert list(system.dead_letters) == []


async def _other(writer: Writer) -> None:
    writer.log.append("other")


async def test_it_takes_a_class_and_its_subclasses_only() -> None:
    writing, log = Writing(Correction), list[str]()
    async with open_system() as system:
        writer = await system.spawn("writer", Writer, log)
        writer.tell(Do(writing))
        for text in "abc":
            writer.tell(Correction(text) if text == "b" else Note(text))
        writing.go.set()
        await wait_all_tasks_blocked()
        assert writing.taken == [Correction("b")]
        assert log == ["a", "c"]


async def test_what_somebody_waits_for_is_not_taken_and_neither_is_a_stop() -> None:
    writing, log, replies = Writing(object), list[str](), list[str]()
    async with open_system() as system, trio.open_nursery() as nursery:
        writer = await system.spawn("writer", Writer, log)
        writer.tell(Do(writing))
        await wait_all_tasks_blocked()

        @nursery.start_soon
        async def look() -> None:
            replies.append(await writer.ask(Look()))

        await wait_all_tasks_blocked()
        writer.tell(Look())  # nobody waits for the reply to this one
        writing.go.set()
        await wait_all_tasks_blocked()
        assert (writing.taken, replies) == ([Look()], ["seen"])
        writing.go = trio.Event()
        writer.tell(Do(writing))
        await wait_all_tasks_blocked()
        writer.tell(Stop())
        writing.go.set()
        await writer.wait_ended()
        assert writing.taken == []


async def test_whoever_waits_for_room_comes_in_and_is_not_taken() -> None:
    writing, log = Writing(), list[str]()
    async with open_system() as system, trio.open_nursery() as nursery:
        writer = await system.spawn("writer", Writer, log)
        writer.tell(Do(writing))
        await wait_all_tasks_blocked()
        for text in "abcd":
            writer.tell(Note(text))
        nursery.start_soon(writer.put, Note("waited"))
        await wait_all_tasks_blocked()
        writing.go.set()
        await wait_all_tasks_blocked()
        assert [note.text for note in writing.taken] == ["a", "b", "c", "d"]
        assert log == ["waited"]


async def test_what_was_taken_counts_as_handled_even_if_the_handler_crashes() -> None:
    writing, log = Writing(error=ValueError("broken")), list[str]()
    async with open_system() as system:
        writer = await system.spawn("writer", Writer, log)
        async with trio.open_nursery() as nursery:

            @nursery.start_soon
            async def ask() -> None:
                with pytest.raises(AskFailed):
                    await writer.ask(Do(writing))

            await wait_all_tasks_blocked()
            writer.tell(Note("taken"))
            statistics = writer.statistics()
            assert statistics is not None
            assert statistics.length == 1
            writing.go.set()
        await wait_all_tasks_blocked()
        assert log == []
        assert [letter.message for letter in system.dead_letters] == [Do(writing)]
        statistics = writer.statistics()
        assert statistics is not None
        assert (statistics.length, statistics.received) == (0, 2)


async def test_without_any_there_is_nothing_to_take() -> None:
    async def take(writer: Writer) -> list[Note]:
        return writer.take_waiting(Note)

    async with open_system() as system:
        writer = await system.spawn("writer", Writer, [])
        assert await writer.ask(Do(take)) == []
