"""One task for all deadlines and timers of a system: a deadline of its own for each ask would cost more than the ask.

Entries are dropped lazily: one that is no longer wanted stays in the heap until its time comes, or until more than
half of the heap is such.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Protocol

import trio
from trio.lowlevel import Abort

#: With fewer entries than this that nobody wants, cleaning up is not worth it.
SOME = 64


class Due(Protocol):
    """An entry: `over` once nobody wants it any more, `fire` when its time has come."""

    over: bool

    def fire(self) -> None: ...


class Timer:
    """A call that is due after `seconds`, and then again every `period` seconds if there is one.

    A time that was missed, because the loop was held up for longer, is not made up for; the next ones stay where they
    were. `ended` is called with `self.cancel` when it will not fire again.
    """

    __slots__ = ("_call", "_due", "_ended", "_period", "_timers", "over")

    def __init__(
        self,
        timers: Timers,
        seconds: float,
        period: float | None,
        call: Callable[[], None],
        ended: Callable[[Callable[[], None]], None],
    ) -> None:
        self._timers = timers
        self._period = period
        self._call = call
        self._ended = ended
        self._due = trio.current_time() + seconds
        self.over = False
        timers.add(self._due, self)

    def fire(self) -> None:
        if self._period is None:
            self.over = True
            self._ended(self.cancel)
        else:
            missed = max(0.0, trio.current_time() - self._due) // self._period
            self._due += (missed + 1) * self._period
            self._timers.add(self._due, self)
        self._call()

    def cancel(self) -> None:
        """It will not fire, or not again."""
        if not self.over:
            self.over = True
            self._timers.forget(self)
            self._ended(self.cancel)


class Timers:
    """The heap, and the task that sleeps until the earliest entry is due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due]] = []
        #: deadlines that are not in the heap yet: most are over before the task looks for the first time
        self._young: dict[Due, float] = {}
        self._number = 0
        self._unwanted = 0
        self._scope: trio.CancelScope | None = None
        #: when the sleeping task will look next
        self._next = math.inf

    def __len__(self) -> int:
        return len(self._heap) + len(self._young)

    def add(self, time: float, due: Due) -> None:
        """Fire `due` at `time`. What is due at the same time fires in the order in which it was added."""
        self._young[due] = time
        if time < self._next:
            self._next = time
            if self._scope is not None:
                self._scope.deadline = time

    def forget(self, due: Due) -> None:
        """An entry is over before its time."""
        if self._young.pop(due, None) is None:
            self._unwanted += 1
            if self._unwanted > SOME and self._unwanted * 2 > len(self._heap):
                self._heap = [entry for entry in self._heap if not entry[2].over]
                heapq.heapify(self._heap)
                self._unwanted = 0

    async def run(self) -> None:
        """Fire what is due, for ever."""
        while True:
            self._fire_due()
            with trio.CancelScope(deadline=self._next) as self._scope:
                await trio.lowlevel.wait_task_rescheduled(lambda _: Abort.SUCCEEDED)

    def _grow_up(self) -> None:
        """Whatever is still young belongs into the heap: each entry goes there once at most."""
        young, self._young = self._young, {}
        for due, time in young.items():
            self._number += 1
            heapq.heappush(self._heap, (time, self._number, due))

    def _fire_due(self) -> None:
        now = trio.current_time()
        self._grow_up()
        while self._heap and self._heap[0][0] <= now:
            due = heapq.heappop(self._heap)[2]
            if due.over:
                self._unwanted = max(0, self._unwanted - 1)
            else:
                due.fire()
        self._next = min(self._heap[0][0] if self._heap else math.inf, *self._young.values(), math.inf)
