"""What a child is given to talk with its supervisor: `stop`, `task_status`, `beat`, `emit`."""

from __future__ import annotations

import math
from typing import Any, Protocol

import trio

from ._events import Event


class StopRequest:
    """Tells a child that it is to stop. Given as `stop` to a start callable that names it."""

    __slots__ = ("_event", "deadline")

    def __init__(self) -> None:
        self._event = trio.Event()
        #: when the child will be cancelled, on Trio's clock; infinity while there is no request or no bound
        self.deadline = math.inf

    def is_set(self) -> bool:
        return self._event.is_set()

    async def wait(self) -> None:
        """Wait for the request. A checkpoint, even if it has come already."""
        await self._event.wait()

    def _set(self) -> None:
        self._event.set()


class Linked(Protocol):
    """The incarnation behind a handle."""

    last_beat: float

    def started(self, value: object = None) -> None: ...
    def emit(self, kind: type[Event], **fields: Any) -> None: ...


class Handle:
    """What a child holds of its incarnation: the `task_status`, `beat` and `emit` given to it.

    Its link is cut when the child ends, so that the frames of a crash, which its exception keeps, keep nothing else.
    """

    __slots__ = ("_incarnation",)

    def __init__(self, incarnation: Linked) -> None:
        self._incarnation: Linked | None = incarnation

    def cut(self) -> None:
        self._incarnation = None

    def _linked(self) -> Linked:
        if self._incarnation is None:
            raise RuntimeError("the child that this was given to has ended")
        return self._incarnation

    def started(self, value: object = None) -> None:
        """The child is up. Any value goes to whoever asked for the start."""
        self._linked().started(value)

    def beat(self) -> None:
        """The child is alive."""
        self._linked().last_beat = trio.current_time()

    def emit(self, kind: type[Event], **fields: Any) -> None:
        """An event of the child's own."""
        self._linked().emit(kind, **fields)
