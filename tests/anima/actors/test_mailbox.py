"""The mailbox: bounded, in order, cancel-safe; against a model, and as the channels that its ends are."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from anima.actors import Mailbox, MailboxClosed, MailboxFull, Overflow


async def test_messages_come_out_in_the_order_in_which_they_went_in() -> None:
    mailbox = Mailbox[int]()
    for n in range(5):
        mailbox.put_nowait(n)
    assert [await mailbox.get() for _ in range(5)] == [0, 1, 2, 3, 4]


def test_a_full_mailbox_rejects_and_says_how_much_it_holds() -> None:
    mailbox = Mailbox[int](2)
    mailbox.put_nowait(1)
    mailbox.put_nowait(2)
    with pytest.raises(MailboxFull, match="2 messages"):
        mailbox.put_nowait(3)


@pytest.mark.parametrize(
    ("overflow", "kept", "dropped"),
    [(Overflow.DROP_OLDEST, [2, 3], [1]), (Overflow.DROP_NEWEST, [1, 2], [3])],
)
def test_what_is_dropped_for_want_of_room_is_told(overflow: Overflow, kept: list[int], dropped: list[int]) -> None:
    told: list[int] = []
    mailbox = Mailbox[int](2, overflow, told.append)
    for n in (1, 2, 3):
        mailbox.put_nowait(n)
    assert told == dropped
    assert mailbox.statistics().dropped == 1
    assert mailbox.close() == kept


async def test_the_reserved_lane_is_never_full_and_always_first() -> None:
    mailbox = Mailbox[str](1)
    mailbox.put_nowait("work")
    mailbox.put_reserved("stop")
    mailbox.put_reserved("watch")
    assert [await mailbox.get() for _ in range(3)] == ["stop", "watch", "work"]


async def test_who_waits_for_room_comes_before_who_finds_some() -> None:
    mailbox = Mailbox[str](1)
    mailbox.put_nowait("first")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mailbox.put, "waited")
        await wait_all_tasks_blocked()
        assert mailbox.get_nowait() == "first"
        with pytest.raises(MailboxFull):
            mailbox.put_nowait("came later")
        assert mailbox.get_nowait() == "waited"


async def test_what_was_taken_and_not_handled_goes_back_in_its_place() -> None:
    mailbox = Mailbox[int](4)
    for n in range(4):
        mailbox.put_nowait(n)
    batch = await mailbox.get_batch(3)
    mailbox.put_nowait(4)
    mailbox.give_back(batch[1:])
    assert mailbox.close() == [1, 2, 3, 4]


async def test_closing_tells_everyone_who_waits_and_gives_what_is_left() -> None:
    full, empty = Mailbox[int](1), Mailbox[int](1)
    full.put_nowait(1)
    told: list[str] = []

    async def put() -> None:
        with pytest.raises(MailboxClosed):
            await full.put(2)
        told.append("put")

    async def get() -> None:
        with pytest.raises(MailboxClosed):
            await empty.get()
        told.append("get")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(put)
        nursery.start_soon(get)
        await wait_all_tasks_blocked()
        assert full.close() == [1]
        assert empty.close() == []
    assert sorted(told) == ["get", "put"]
    with pytest.raises(MailboxClosed):
        full.put_nowait(3)
    with pytest.raises(MailboxClosed):
        full.put_reserved(3)


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True])
def test_a_mailbox_has_room_for_one_message_at_least(capacity: int) -> None:
    with pytest.raises(ValueError, match="capacity"):
        Mailbox[int](capacity)


async def test_its_ends_are_channels_whose_operations_are_checkpoints() -> None:
    mailbox = Mailbox[int](2)
    sender, receiver = mailbox.sender(), mailbox.receiver()
    with trio.testing.assert_checkpoints():
        await sender.send(1)
    with trio.testing.assert_checkpoints():
        assert await receiver.receive() == 1
    await sender.send(2)
    await sender.aclose()
    with pytest.raises(trio.ClosedResourceError):
        await sender.send(3)
    assert [value async for value in _first(receiver, 1)] == [2]
    await receiver.aclose()
    with pytest.raises(trio.BrokenResourceError):
        await mailbox.sender().send(4)
    with pytest.raises(trio.EndOfChannel):
        await mailbox.receiver().receive()


async def _first(receiver: trio.abc.ReceiveChannel[int], count: int):  # type: ignore[no-untyped-def]
    for _ in range(count):
        yield await receiver.receive()


async def test_a_busy_sender_lets_others_run() -> None:
    mailbox = Mailbox[int](10_000)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for n in range(1000):
            await mailbox.put(n)
        nursery.cancel_scope.cancel()
    assert turns >= 10


class Model:
    """What a mailbox is, without any task: who waits is a list."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.queue: list[int] = []
        self.reserved: list[int] = []
        self.putting: list[int] = []
        self.getting = 0
        self.got: list[int] = []
        self.rejected: list[int] = []

    def settle(self) -> None:
        while True:
            if self.putting and len(self.queue) < self.capacity:
                self.queue.append(self.putting.pop(0))
            elif self.getting and (self.reserved or self.queue):
                self.getting -= 1
                self.got.append((self.reserved or self.queue).pop(0))
            else:
                return


operations = st.lists(
    st.sampled_from(["tell", "put", "put", "reserved", "get", "get", "cancel put", "cancel get", "crash", "take odd"]),
    max_size=40,
)


@given(st.integers(1, 4), operations)
def test_whatever_is_cancelled_no_message_is_lost_or_doubled_and_order_is_kept(
    capacity: int, script: list[str]
) -> None:
    model = Model(capacity)

    async def run() -> None:
        mailbox = Mailbox[int](capacity)
        got: list[int] = []
        rejected: list[int] = []
        putting: dict[int, trio.CancelScope] = {}
        getting: list[trio.CancelScope] = []

        async def put(n: int, scope: trio.CancelScope) -> None:
            with scope:
                await mailbox.put(n)
            del putting[n]

        async def get(scope: trio.CancelScope) -> None:
            with scope:
                got.append(await mailbox.get())
            getting.remove(scope)

        async with trio.open_nursery() as nursery:
            for n, operation in enumerate(script):
                scope = trio.CancelScope()
                match operation:
                    case "tell":
                        if len(model.queue) < capacity:
                            model.queue.append(n)
                        else:
                            model.rejected.append(n)
                        _try(functools.partial(mailbox.put_nowait, n), rejected, n)
                    case "put":
                        model.putting.append(n)
                        putting[n] = scope
                        nursery.start_soon(put, n, scope)
                    case "reserved":
                        model.reserved.append(n)
                        mailbox.put_reserved(n)
                    case "get":
                        model.getting += 1
                        getting.append(scope)
                        nursery.start_soon(get, scope)
                    case "cancel put" if putting:
                        cancelled = min(putting)
                        model.putting.remove(cancelled)
                        putting[cancelled].cancel()
                    case "cancel get" if getting:
                        model.getting -= 1
                        getting[0].cancel()
                    case "crash" if model.queue and not model.reserved:
                        batch = await mailbox.get_batch(2)  # taken, not handled, put back
                        mailbox.give_back(batch)
                        taken = []
                        for _ in batch:  # each one taken makes room for one that waits
                            taken.append(model.queue.pop(0))
                            model.settle()
                        model.queue[:0] = taken
                    case "take odd":
                        odd = [n for n in model.queue if n % 2]
                        model.queue = [n for n in model.queue if not n % 2]
                        assert mailbox.take_where(lambda n: n % 2 == 1) == odd
                model.settle()
                await wait_all_tasks_blocked()
                assert got == model.got
                assert sorted(putting) == sorted(model.putting)
                assert len(getting) == model.getting
                assert len(mailbox) == len(model.queue) + len(model.reserved)
            nursery.cancel_scope.cancel()
        assert rejected == model.rejected
        assert mailbox.close() == [*model.reserved, *model.queue]

    trio.run(run)


def _try(operation: Callable[[], None], rejected: list[int], n: int) -> None:
    try:
        operation()
    except MailboxFull:
        rejected.append(n)
