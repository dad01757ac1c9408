"""Start children in order under one supervisor, then stop them in reverse order, each waited for.

One operation is one child: its start until it runs, and its stop until it is gone, told apart. The specs are made
beforehand; opening and closing the supervisor is measured. Prints CPU microseconds per child as JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import time
from collections.abc import Awaitable, Callable

import trio
from trio.lowlevel import Abort, Task, current_task, reschedule, wait_task_rescheduled

from anima_supervisors import ChildSpec, SupervisorSpec, open_supervisor


class Rig:
    """The children's code and the clock: the same for every candidate."""

    def __init__(self, children: int) -> None:
        self.children = children
        self._missing = children
        self._driver: Task | None = None
        self._times: list[float] = []

    async def child(self) -> None:
        """Say that this child runs, and do nothing until cancelled."""
        self._missing -= 1
        if self._missing == 0 and self._driver is not None:
            reschedule(self._driver)
        await wait_task_rescheduled(_forget)

    async def child_with_status(self, *, task_status: trio.TaskStatus[None]) -> None:
        """The same for a child that says itself that it is up."""
        task_status.started()
        await self.child()

    async def all_running(self) -> None:
        """Wait until all children run."""
        if self._missing:
            self._driver = current_task()
            await wait_task_rescheduled(_forget)

    def mark(self) -> None:
        """Between two marks is a measured region."""
        self._times.append(time.process_time())

    def result(self) -> tuple[float, float]:
        """The CPU microseconds per child of the start and of the stop."""
        begin, started, stopping, stopped = self._times
        return (started - begin) / self.children * 1e6, (stopped - stopping) / self.children * 1e6


def _forget(_: object) -> Abort:
    return Abort.SUCCEEDED


async def library(rig: Rig) -> None:
    """A supervisor of children that are up at once."""
    await _library(rig, rig.child)


async def library_status(rig: Rig) -> None:
    """The same; the supervisor waits for each child to say that it is up."""
    await _library(rig, rig.child_with_status)


async def _library(rig: Rig, child: Callable[..., Awaitable[None]]) -> None:
    spec = SupervisorSpec(children=tuple(ChildSpec(f"child-{n}", child) for n in range(rig.children)))
    gc.collect()
    rig.mark()
    async with open_supervisor(spec):
        await rig.all_running()
        rig.mark()
        gc.collect()
        rig.mark()
    rig.mark()


async def bare(rig: Rig) -> None:
    """By hand: each child in a scope of its own, started with `start_soon`."""

    async def scoped(scope: trio.CancelScope, gone: trio.Event) -> None:
        with scope:
            await rig.child()
        gone.set()

    started: list[tuple[trio.CancelScope, trio.Event]] = []
    gc.collect()
    rig.mark()
    async with trio.open_nursery() as nursery:
        for _ in range(rig.children):
            scope, gone = trio.CancelScope(), trio.Event()
            nursery.start_soon(scoped, scope, gone)
            started.append((scope, gone))
        await rig.all_running()
        await _stop_in_reverse(rig, started)
    rig.mark()


async def bare_status(rig: Rig) -> None:
    """By hand: each child in a scope of its own, started with `nursery.start`."""

    async def scoped(scope: trio.CancelScope, gone: trio.Event, *, task_status: trio.TaskStatus[None]) -> None:
        with scope:
            await rig.child_with_status(task_status=task_status)
        gone.set()

    started: list[tuple[trio.CancelScope, trio.Event]] = []
    gc.collect()
    rig.mark()
    async with trio.open_nursery() as nursery:
        for _ in range(rig.children):
            scope, gone = trio.CancelScope(), trio.Event()
            await nursery.start(scoped, scope, gone)
            started.append((scope, gone))
        await rig.all_running()
        await _stop_in_reverse(rig, started)
    rig.mark()


async def _stop_in_reverse(rig: Rig, started: list[tuple[trio.CancelScope, trio.Event]]) -> None:
    rig.mark()
    gc.collect()
    rig.mark()
    for scope, gone in reversed(started):
        scope.cancel()
        await gone.wait()


CANDIDATES: dict[str, Callable[[Rig], Awaitable[None]]] = {
    "bare": bare,
    "bare_status": bare_status,
    "library": library,
    "library_status": library_status,
}


def measured(candidate: str, children: int, rounds: int) -> dict[str, float]:
    """The mean of some rounds; a first one, to warm up, is not counted."""
    results = []
    for _ in range(rounds + 1):
        rig = Rig(children)
        trio.run(CANDIDATES[candidate], rig)
        results.append(rig.result())
    starts, stops = zip(*results[1:], strict=True)
    return {"start": sum(starts) / rounds, "stop": sum(stops) / rounds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--candidate", choices=CANDIDATES, required=True)
    parser.add_argument("--children", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    print(json.dumps(measured(given.candidate, given.children, given.rounds)))


if __name__ == "__main__":
    main()
