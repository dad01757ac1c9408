"""Crash to running again: some children of one supervisor crash on command and are restarted.

One operation is one crash of one child: from the command, through the restart, until its replacement runs. In each
round `--crashing` of the `--children` crash at the same time; the others sit idle. Prints CPU microseconds per
operation as JSON.
"""

from __future__ import annotations

import argparse
import functools
import gc
import json
import math
import time
from collections.abc import Awaitable, Callable

import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

from anima_supervisors import ChildSpec, SupervisorSpec, open_supervisor


class Crash(Exception):
    """What a child raises on command."""


class Rig:
    """The children's code, the commands to crash and the clock: the same for every candidate.

    It parks and wakes tasks directly, so that as little as possible is measured beside the restart.
    """

    def __init__(self, children: int, crashing: int, crashes: int) -> None:
        self.children = children
        self._crashing = crashing
        self._rounds = max(1, crashes // crashing)
        self._parked: list[Task | None] = [None] * children
        self._missing = children
        self._driver: Task | None = None

    async def child(self, index: int) -> None:
        """Say that this child runs, and crash on command."""
        self._parked[index] = current_task()
        self._missing -= 1
        if self._missing == 0 and self._driver is not None:
            reschedule(self._driver)
        await wait_task_rescheduled(_forget)
        raise Crash("on command")

    async def child_with_status(self, index: int, *, task_status: trio.TaskStatus[None]) -> None:
        """The same for a child that says itself that it is up."""
        task_status.started()
        await self.child(index)

    async def measure(self) -> float:
        """The CPU microseconds of one crash, once all children run."""
        await self._all_running()
        await self._rounds_of_crashes(max(1, self._rounds // 10))  # warm
        gc.collect()
        begin = time.process_time()
        await self._rounds_of_crashes(self._rounds)
        return (time.process_time() - begin) / (self._rounds * self._crashing) * 1e6

    async def _rounds_of_crashes(self, rounds: int) -> None:
        for _ in range(rounds):
            self._missing = self._crashing
            for task in self._parked[: self._crashing]:
                assert task is not None
                reschedule(task)
            await self._all_running()

    async def _all_running(self) -> None:
        if self._missing:
            self._driver = current_task()
            await wait_task_rescheduled(_forget)
            self._driver = None


def _forget(_: object) -> Abort:
    return Abort.SUCCEEDED


async def library(rig: Rig) -> float:
    """A one_for_one supervisor of permanent children."""
    return await _library(rig, rig.child)


async def library_status(rig: Rig) -> float:
    """The same; the supervisor waits for each child to say that it is up."""
    return await _library(rig, rig.child_with_status)


async def _library(rig: Rig, child: Callable[..., Awaitable[None]]) -> float:
    children = [ChildSpec(f"child-{n}", functools.partial(child, n)) for n in range(rig.children)]
    async with open_supervisor(SupervisorSpec(intensity=10**9, children=tuple(children))):
        return await rig.measure()


async def channel(rig: Rig) -> float:
    """By hand: a task takes exit notices from a memory channel and restarts with `start_soon`."""
    notices, inbox = trio.open_memory_channel[tuple[int, Exception]](math.inf)

    async def watched(index: int) -> None:
        try:
            await rig.child(index)
        except Exception as error:
            notices.send_nowait((index, error))

    async def supervise() -> None:
        async for index, _ in inbox:
            nursery.start_soon(watched, index)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise)
        for index in range(rig.children):
            nursery.start_soon(watched, index)
        result = await rig.measure()
        nursery.cancel_scope.cancel()
    return result


async def channel_status(rig: Rig) -> float:
    """By hand: the same with `nursery.start`, which waits for each child to say that it is up."""
    notices, inbox = trio.open_memory_channel[tuple[int, Exception]](math.inf)

    async def watched(index: int, *, task_status: trio.TaskStatus[None]) -> None:
        try:
            await rig.child_with_status(index, task_status=task_status)
        except Exception as error:
            notices.send_nowait((index, error))

    async def supervise() -> None:
        async for index, _ in inbox:
            await nursery.start(watched, index)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise)
        for index in range(rig.children):
            await nursery.start(watched, index)
        result = await rig.measure()
        nursery.cancel_scope.cancel()
    return result


CANDIDATES: dict[str, Callable[[Rig], Awaitable[float]]] = {
    "channel": channel,
    "channel_status": channel_status,
    "library": library,
    "library_status": library_status,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidate", choices=CANDIDATES, required=True)
    parser.add_argument("--children", type=int, default=1)
    parser.add_argument("--crashing", type=int, default=1)
    parser.add_argument("--crashes", type=int, default=5_000)
    given = parser.parse_args()
    rig = Rig(given.children, given.crashing, given.crashes)
    print(json.dumps({"crash": trio.run(CANDIDATES[given.candidate], rig)}))


if __name__ == "__main__":
    main()
