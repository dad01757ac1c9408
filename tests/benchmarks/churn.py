"""Temporary children come and go under a dynamic supervisor that has `--present` idle ones all the while.

One operation is one child: it is asked for, starts, returns at once, and is forgotten. Its spec is made inside the
operation, as any caller has to. Prints CPU microseconds per operation as JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import time
from collections.abc import Awaitable, Callable

import trio

from anima_supervisors import ChildNotFound, ChildSpec, DynamicSupervisorSpec, Restart, Supervisor, open_supervisor

StartChild = Callable[[str, Callable[[], Awaitable[None]]], Awaitable[None]]
IsThere = Callable[[str], Awaitable[bool]]


async def idle() -> None:
    """A child that is there all the while."""
    await trio.sleep_forever()


async def job() -> None:
    """A child that comes and goes."""


async def measure(start: StartChild, is_there: IsThere, present: int, jobs: int) -> float:
    """The CPU microseconds of one job: the same loop for every candidate."""
    for n in range(present):
        await start(f"idle-{n}", idle)
    await _churn(start, is_there, "warm", jobs // 10)
    gc.collect()
    begin = time.process_time()
    await _churn(start, is_there, "job", jobs)
    return (time.process_time() - begin) / jobs * 1e6


async def _churn(start: StartChild, is_there: IsThere, stem: str, jobs: int) -> None:
    for n in range(jobs):
        await start(f"{stem}-{n}", job)
    while await is_there(f"{stem}-{jobs - 1}"):
        await trio.lowlevel.checkpoint()


async def library(present: int, jobs: int) -> float:
    """`start_child` of a `DynamicSupervisorSpec`."""
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:

        async def start(id: str, function: Callable[[], Awaitable[None]]) -> None:
            await supervisor.start_child(ChildSpec(id, function, Restart.TEMPORARY))

        async def is_there(id: str) -> bool:
            return await _knows(supervisor, id)

        return await measure(start, is_there, present, jobs)


async def _knows(supervisor: Supervisor, id: str) -> bool:
    try:
        await supervisor.get_childspec(id)
    except ChildNotFound:
        return False
    return True


class Request:
    """A child to start, for the supervising task of `channel`, and where it answers."""

    __slots__ = ("done", "function", "id")

    def __init__(self, id: str, function: Callable[[], Awaitable[None]]) -> None:
        self.id = id
        self.function = function
        self.done = trio.Event()


async def channel(present: int, jobs: int) -> float:
    """By hand: one task owns the children; requests and exit notices reach it over a memory channel."""
    outbox, inbox = trio.open_memory_channel[Request | str](math.inf)
    children: dict[str, trio.CancelScope] = {}

    async def watched(id: str, function: Callable[[], Awaitable[None]], scope: trio.CancelScope) -> None:
        with scope:
            await function()
        outbox.send_nowait(id)

    async def supervise() -> None:
        async for message in inbox:
            if isinstance(message, Request):
                scope = children[message.id] = trio.CancelScope()
                nursery.start_soon(watched, message.id, message.function, scope)
                message.done.set()
            else:
                del children[message]

    async def start(id: str, function: Callable[[], Awaitable[None]]) -> None:
        request = Request(id, function)
        outbox.send_nowait(request)
        await request.done.wait()

    async def is_there(id: str) -> bool:
        return id in children

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise)
        result = await measure(start, is_there, present, jobs)
        nursery.cancel_scope.cancel()
    return result


CANDIDATES: dict[str, Callable[[int, int], Awaitable[float]]] = {"channel": channel, "library": library}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidate", choices=CANDIDATES, required=True)
    parser.add_argument("--present", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=5_000)
    given = parser.parse_args()
    print(json.dumps({"job": trio.run(CANDIDATES[given.candidate], given.present, given.jobs)}))


if __name__ == "__main__":
    main()
