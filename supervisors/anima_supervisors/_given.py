"""What a child is given to talk with its supervisor: `stop`, `task_status`, `beat`, `emit`, `handle`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import trio

from ._events import Event
from ._exits import Exit
from ._specs import AnySupervisorSpec
from ._tree import Tree


class StopRequest:
    """Tells a child that it is to stop. Given as `stop` to a start callable that names it."""

    __slots__ = ("_callback", "_event", "_is_set", "deadline")

    def __init__(self) -> None:
        self._is_set = False
        self._event: trio.Event | None = None  # most children never wait for it
        self._callback: Callable[[], object] | None = None
        #: when the child will be cancelled, on Trio's clock; infinity while there is no request or no bound
        self.deadline = math.inf

    def is_set(self) -> bool:
        return self._is_set

    async def wait(self) -> None:
        """Wait for the request. A checkpoint, even if it has come already."""
        if self._is_set:
            await trio.lowlevel.checkpoint()
            return
        if self._event is None:
            self._event = trio.Event()
        await self._event.wait()

    def call_when_set(self, callback: Callable[[], object]) -> None:
        """Have `callback` called on the loop when the request comes, at once if it has come. It must not raise.

        For children that have a queue of their own: the request becomes a message in it. There is one callback.
        """
        self._callback = callback
        if self._is_set:
            callback()

    def _set(self) -> None:
        self._is_set = True
        if self._event is not None:
            self._event.set()
        if self._callback is not None:
            self._callback()


class Above(Protocol):
    """The supervisor of the child."""

    def stop(self, reason: Exit = ...) -> None: ...


class Linked(Protocol):
    """The incarnation behind a handle."""

    last_beat: float
    path: str
    number: int

    @property
    def tree(self) -> Tree: ...
    @property
    def owner(self) -> Above: ...
    def started(self, value: object = None) -> None: ...
    def emit(self, kind: type[Event], **fields: Any) -> None: ...
    def on_down(self, callback: Callable[[Exit], object]) -> None: ...
    async def supervise(self, spec: AnySupervisorSpec) -> Any: ...


class Handle:
    """What a child holds of its incarnation, given to it as `handle`; `task_status`, `beat` and `emit` are parts of it.

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

    @property
    def path(self) -> str:
        """The ids from the root of the tree to the child, joined by `/`."""
        return self._linked().path

    @property
    def incarnation(self) -> int:
        """Which start attempt of the child this is; 1 for the first."""
        return self._linked().number

    @property
    def shared(self) -> object:
        """What `open_supervisor` was given for all children of the tree."""
        return self._linked().tree.shared

    @property
    def emit_about(self) -> Callable[..., None]:
        """`emit_about(EventType, path, **fields)`, an event about any path. May be kept after the child's end."""
        return self._linked().tree.emit_about

    @property
    def stop_supervisor(self) -> Callable[[Exit], None]:
        """`stop_supervisor(reason)`, as `Supervisor.stop` of the supervisor above. May be kept."""
        return self._linked().owner.stop

    def started(self, value: object = None) -> None:
        """The child is up. Any value goes to whoever asked for the start."""
        self._linked().started(value)

    def beat(self) -> None:
        """The child is alive."""
        self._linked().last_beat = trio.current_time()

    def emit(self, kind: type[Event], **fields: Any) -> None:
        """An event of the child's own."""
        self._linked().emit(kind, **fields)

    def on_down(self, callback: Callable[[Exit], object]) -> None:
        """Have `callback` called once, on the loop, when the child is down and does not come back by itself.

        That is when its end is not followed by a restart: as its restart type says, after `terminate_child`, when its
        supervisor ends. Its argument is the last exit. There is one callback, that of the last incarnation to set it.
        What it raises is reported as an exception of a thread, and changes nothing.
        """
        self._linked().on_down(callback)

    async def supervise(self, spec: AnySupervisorSpec) -> Any:
        """Start a supervisor of the child's own, and return it (a `Supervisor`) when its first children are up.

        Its children's paths begin with the child's path. It ends with the child: whatever ends the child, its own
        children are stopped in order first. If it gives up, the child ends with that error. Raises
        `ChildStartFailed`; RuntimeError if the child has one already.
        """
        return await self._linked().supervise(spec)
