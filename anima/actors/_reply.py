"""The slot that one reply goes into, and the task that waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import trio
from trio.lowlevel import Abort, Task

from ._errors import AskCircle
from ._timers import Timers
from ._waits import Node, refuse_circle


class Asked(Node, Protocol):
    """Who has the request."""

    def late(self, reply: Reply, /) -> Exception: ...


class Busy(Protocol):
    """The actor that handles the request."""

    def nobody_waits(self, reply: Reply, /) -> None: ...


class Reply:
    """A one-shot slot. `over` from the moment at which nobody waits any more, whatever the reason.

    An entry of the system's timers: at its deadline it ends with what `late` makes. When the waiting ends without a
    reply, whoever handles the request is told, so that it can stop.
    """

    __slots__ = ("_asker", "_error", "_parked", "_timers", "_value", "handler", "over", "path", "target")

    def __init__(self, target: Asked, timers: Timers, path: str, asker: Node | None) -> None:
        #: who has the request, and the address that was asked, which may be that of a pool
        self.target = target
        self.path = path
        self._asker = asker
        self._timers = timers
        self._parked: Task | None = None
        self._value: object = None
        self._error: Exception | None = None
        #: the actor that handles the request now
        self.handler: Busy | None = None
        self.over = False

    def answer(self, value: object) -> None:
        """The reply. Without effect once it is over."""
        if not self.over:
            self.over = True
            self._value = value
            self._timers.forget(self)
            if self._parked is not None:
                trio.lowlevel.reschedule(self._parked)

    def fail(self, error: Exception) -> None:
        """There will be no reply. Without effect once it is over."""
        if not self.over:
            self._error = error
            self.answer(None)

    def fire(self) -> None:
        """The deadline has come."""
        self.over = True
        self._error = self.target.late(self)
        if self._parked is not None:
            trio.lowlevel.reschedule(self._parked)
        self._tell_handler()

    def park(self) -> Callable[[object], Abort]:
        """The current task waits for the reply. What it returns is to be given to `wait_task_rescheduled`."""
        self._parked = trio.lowlevel.current_task()
        return self._aborted

    def result(self) -> Any:
        """The reply; or raises what there is instead."""
        if self._error is not None:
            raise self._error
        return self._value

    def moved_to(self, target: Asked) -> None:
        """Another actor has the request now. Where that closes a circle of waiting actors, there will be no reply."""
        self.target = target
        if self._asker is not None and not self.over:
            try:
                refuse_circle(self._asker, target)
            except AskCircle as error:
                self.fail(error)

    def _aborted(self, _: object) -> Abort:
        self.abandon()
        return Abort.SUCCEEDED

    def abandon(self) -> None:
        """Nobody waits any more."""
        self._parked = None
        if not self.over:
            self.over = True
            self._timers.forget(self)
            self._tell_handler()

    def _tell_handler(self) -> None:
        if self.handler is not None:
            self.handler.nobody_waits(self)
