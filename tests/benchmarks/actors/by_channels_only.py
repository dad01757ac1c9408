"""By hand on bare Trio, replies too by a memory channel: what one writes who has only channels in mind."""

from __future__ import annotations

import trio

from tests.benchmarks.actors.workloads import CAPACITY, Meter

Request = tuple[int, "trio.MemorySendChannel[int]"]


async def _answer(inbox: trio.MemoryReceiveChannel[Request]) -> None:
    async for value, replies in inbox:
        replies.send_nowait(value + 1)


def ask(count: int) -> float:
    """Each request brings a channel of its own for the reply, as a reply must not reach another asker."""

    async def main() -> float:
        outbox, inbox = trio.open_memory_channel[Request](CAPACITY)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_answer, inbox)
            with Meter(count) as meter:
                for n in range(count):
                    replies, reply = trio.open_memory_channel[int](1)
                    await outbox.send((n, replies))
                    await reply.receive()
            outbox.close()
        return meter.cost

    return trio.run(main)
