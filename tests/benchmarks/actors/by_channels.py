"""By hand on bare Trio: an actor is a task that reads a memory channel, as one writes it without a library.

Crashes are mended by a supervising task, which is told of them over a channel and starts a new task.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

import trio
from trio.testing import wait_all_tasks_blocked

from tests.benchmarks.actors.workloads import (
    CAPACITY,
    RING,
    SIBLINGS,
    SUBSCRIBERS,
    Crash,
    Crashed,
    Meter,
    Number,
    resident_bytes,
)

Outbox = trio.MemorySendChannel[Number]
Inbox = trio.MemoryReceiveChannel[Number]


class Ask:
    """A request with the place for its reply: a quarter cheaper than a channel for each."""

    __slots__ = ("replied", "reply", "value")

    def __init__(self, value: int) -> None:
        self.value = value
        self.reply = 0
        self.replied = trio.Event()


RequestOutbox = trio.MemorySendChannel[Ask | Crash]
RequestInbox = trio.MemoryReceiveChannel[Ask | Crash]


async def _count(inbox: Inbox, expected: int, done: trio.Event) -> None:
    """An actor that counts its messages, and says so when it has had them all."""
    count = 0
    async for _ in inbox:
        count += 1
        if count == expected:
            done.set()


def tell(count: int) -> float:
    """The producer waits when the actor has `CAPACITY` messages before it."""

    async def main() -> float:
        outbox, inbox = trio.open_memory_channel[Number](CAPACITY)
        done = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_count, inbox, count, done)
            with Meter(count) as meter:
                for n in range(count):
                    await outbox.send(Number(n))
                await done.wait()
            outbox.close()
        return meter.cost

    return trio.run(main)


async def answer(inbox: RequestInbox) -> None:
    """An actor that answers requests and crashes on command."""
    async for message in inbox:
        if isinstance(message, Crash):
            raise Crashed
        message.reply = message.value + 1
        message.replied.set()


async def request(outbox: RequestOutbox, value: int) -> int:
    """Ask the actor and wait for its reply."""
    message = Ask(value)
    await outbox.send(message)
    await message.replied.wait()
    return message.reply


def ask(count: int) -> float:
    """A request is sent like any message, and carries the place for its reply."""

    async def main() -> float:
        outbox, inbox = trio.open_memory_channel[Ask | Crash](CAPACITY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, inbox)
            with Meter(count) as meter:
                for n in range(count):
                    await request(outbox, n)
            outbox.close()
        return meter.cost

    return trio.run(main)


def ring(count: int) -> float:
    """The token is a number that falls by one with each hop."""

    async def hop(inbox: Inbox, onward: Outbox, done: trio.Event) -> None:
        async for message in inbox:
            if message.value:
                await onward.send(Number(message.value - 1))
            else:
                done.set()

    async def main() -> float:
        channels = [trio.open_memory_channel[Number](CAPACITY) for _ in range(RING)]
        done = trio.Event()
        async with trio.open_nursery() as nursery:
            for n, (_, inbox) in enumerate(channels):
                nursery.start_soon(hop, inbox, channels[(n + 1) % RING][0], done)
            await wait_all_tasks_blocked()
            with Meter(count) as meter:
                await channels[0][0].send(Number(count - 1))
                await done.wait()
            nursery.cancel_scope.cancel()
        return meter.cost

    return trio.run(main)


def spawn_stop(count: int) -> float:
    """An actor is stopped by closing its channel, which it reads to the end first."""

    async def actor(inbox: Inbox, ended: trio.Event) -> None:
        async for _ in inbox:
            pass
        ended.set()

    async def main() -> float:
        async with trio.open_nursery() as nursery:
            with Meter(count) as meter:
                for n in range(count):
                    outbox, inbox = trio.open_memory_channel[Number](CAPACITY)
                    ended = trio.Event()
                    nursery.start_soon(actor, inbox, ended)
                    await outbox.send(Number(n))
                    outbox.close()
                    await ended.wait()
        return meter.cost

    return trio.run(main)


def idle_bytes(count: int) -> float:
    """An actor with its channel."""

    async def main() -> float:
        before = resident_bytes()
        outboxes = []
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                outbox, inbox = trio.open_memory_channel[Number](CAPACITY)
                outboxes.append(outbox)
                nursery.start_soon(_count, inbox, count, trio.Event())
            await wait_all_tasks_blocked()
            taken = resident_bytes() - before
            nursery.cancel_scope.cancel()
        return taken / count

    return trio.run(main)


#: Runs actors that read these channels, and restarts those that crash.
Supervise = Callable[[Sequence[RequestInbox]], Awaitable[None]]


def measure_restarts(count: int, siblings: int, supervise: Supervise) -> float:
    """The first of some supervised actors crashes and is asked, over and over."""

    async def main() -> float:
        channels = [trio.open_memory_channel[Ask | Crash](CAPACITY) for _ in range(1 + siblings)]
        outbox = channels[0][0]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervise, [inbox for _, inbox in channels])
            await wait_all_tasks_blocked()
            with Meter(count) as meter:
                for n in range(count):
                    await outbox.send(Crash(n))
                    await request(outbox, n)
            nursery.cancel_scope.cancel()
        return meter.cost

    return trio.run(main)


async def _supervise(inboxes: Sequence[RequestInbox]) -> None:
    notices, noticed = trio.open_memory_channel[tuple[int, Exception]](math.inf)

    async def watched(index: int) -> None:
        try:
            await answer(inboxes[index])
        except Exception as error:
            notices.send_nowait((index, error))

    async with trio.open_nursery() as nursery:
        for index in range(len(inboxes)):
            nursery.start_soon(watched, index)
        async for index, _ in noticed:
            nursery.start_soon(watched, index)


def restart(count: int) -> float:
    """A new task in place of the one that crashed, with the same channel."""
    return measure_restarts(count, 0, _supervise)


def restart_among_1000(count: int) -> float:
    """The same task starts the siblings, and would restart them."""
    return measure_restarts(count, SIBLINGS, _supervise)


def publish_100(count: int) -> float:
    """A channel for each subscriber; the publisher waits for those whose channel is full."""

    async def publish(outboxes: Sequence[Outbox], message: Number) -> None:
        for outbox in outboxes:
            try:
                outbox.send_nowait(message)
            except trio.WouldBlock:
                await outbox.send(message)
        await trio.lowlevel.checkpoint()

    async def main() -> float:
        messages = count // SUBSCRIBERS
        channels = [trio.open_memory_channel[Number](CAPACITY) for _ in range(SUBSCRIBERS)]
        outboxes = [outbox for outbox, _ in channels]
        done = [trio.Event() for _ in channels]
        async with trio.open_nursery() as nursery:
            for (_, inbox), event in zip(channels, done, strict=True):
                nursery.start_soon(_count, inbox, messages, event)
            await wait_all_tasks_blocked()
            with Meter(messages * SUBSCRIBERS) as meter:
                for n in range(messages):
                    await publish(outboxes, Number(n))
                for event in done:
                    await event.wait()
            nursery.cancel_scope.cancel()
        return meter.cost

    return trio.run(main)
