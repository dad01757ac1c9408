"""The supervisor as its users hold it: the management calls, tasks, the snapshot, the stop."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextvars import copy_context
from typing import TypeVar, cast

import trio

from ._beside import beside
from ._children import Child
from ._errors import ChildNotFound
from ._events import Event
from ._exits import Exit, Shutdown
from ._inbox import Call
from ._incarnation import Incarnation, State
from ._life import Life
from ._management import ChildInfo, Counts, Management, StartResult
from ._policy import Restart
from ._snapshot import Snapshot
from ._specs import AnySupervisorSpec, Args, ChildSpec, Startable
from ._tasks import Failure, MappedStream, Mapping, Running, Success
from ._tree import Tree

T = TypeVar("T")
I = TypeVar("I")


class Supervisor:
    """A running supervisor. Made by `open_supervisor` and by its parents, never directly.

    The management calls go through the supervisor's inbox, one at a time, and wait without limit while it is busy
    starting, stopping or restarting: put a `trio.fail_after` around one that must not. Each is a checkpoint.
    Cancelled before the supervisor has taken it, a call has no effect; what a cancellation does later is said at each.
    Each raises `SupervisorStopped` if the supervisor ends first, and `SupervisorDeadlock` when it comes from a child
    that the supervisor is starting or stopping, and would wait for itself.

    A restarted supervisor is a new object: keep paths, and `find` it again.
    """

    def __init__(self, spec: AnySupervisorSpec, incarnation: Incarnation, tree: Tree) -> None:
        self._incarnation = incarnation
        self._tree = tree
        self._life = Life(spec, incarnation.path, tree, self._make_inner)
        self._life.handle = self
        self._management = Management(self._life)

    def _make_inner(self, spec: AnySupervisorSpec, incarnation: Incarnation) -> Life:
        return Supervisor(spec, incarnation, self._tree)._life

    def __repr__(self) -> str:
        return f"<Supervisor {self.path} #{self._incarnation.number} {self._incarnation.state.value}>"

    @property
    def path(self) -> str:
        """The ids from the root to here, joined by `/`."""
        return self._incarnation.path

    @property
    def spec(self) -> AnySupervisorSpec:
        """What it was started from."""
        return self._life.spec

    @property
    def exit(self) -> Exit | None:
        """Why it ended, or is ending; None as long as it goes on."""
        return self._incarnation.exit or self._life.ending

    # Management calls

    async def start_child(self, child: ChildSpec | Args) -> StartResult:
        """Start a new child, as the last of the order; wait until it is up or ignored.

        A dynamic supervisor with a template takes `Args`, any other takes a `ChildSpec`. Raises `BadSpec`,
        `ChildAlreadyStarted`, `ChildAlreadyPresent`, `MaxChildrenReached`, and `ChildStartFailed`, after which the
        spec is not kept. Cancelled during the start, the start is cancelled and the child forgotten.
        """
        context = copy_context()
        spec = child if isinstance(child, ChildSpec) else getattr(self.spec, "template", None)
        waits = spec is None or not spec.up_at_once
        return await self._call(lambda call: self._management.start_child(call, child, context), waits=waits)

    async def restart_child(self, id: str) -> StartResult:
        """Start a child that is down, at its old place; this does not count as a restart.

        Raises `ChildNotFound`, `ChildRunning`, `ChildRestarting`, `UnsupportedByDynamic`, and `ChildStartFailed`, after
        which it is still down. Cancelled during the start, the start is cancelled and the child is down.
        """
        return await self._call(lambda call: self._management.restart_child(call, id))

    async def terminate_child(self, id: str) -> None:
        """Stop a child and wait until it is gone; it comes back by `restart_child` or with its group only.

        A child that is down, or that waits for a restart, is down afterwards. A temporary child is forgotten, and so is
        every child of a dynamic supervisor. Raises `ChildNotFound`, and `ChildStuck` when it is still alive 1 s after
        its bound. Cancelled once it is taken, the stop is completed all the same.
        """
        await self._call(lambda call: self._management.terminate_child(call, id))

    async def delete_child(self, id: str) -> None:
        """Forget a child that is down.

        Raises `ChildNotFound`, `ChildRunning`, `ChildRestarting`, `UnsupportedByDynamic`.
        """
        await self._call(lambda call: self._management.delete_child(call, id))

    async def which_children(self) -> list[ChildInfo]:
        """The children in start order (OTP lists the newest first)."""
        return await self._call(self._management.which_children)

    async def count_children(self) -> Counts:
        """How many children there are, by what they are."""
        return await self._call(self._management.count_children)

    async def get_childspec(self, id: str) -> ChildSpec:
        """The spec of a child. Raises `ChildNotFound`."""
        return await self._call(lambda call: self._management.get_childspec(call, id))

    async def change_start(self, id: str, start: Startable) -> None:
        """From its next start on, a child is started by something else. What runs now goes on.

        It holds as long as this supervisor knows the child; a restarted supervisor begins with its own spec again.
        Raises `ChildNotFound`, and `BadSpec` where `start` does not fit the rest of the child's spec.
        """
        return await self._call(lambda call: self._management.change_start(call, id, start))

    async def _call(self, work: Callable[[Call], Awaitable[T]], *, waits: bool = True) -> T:
        return cast(T, await self._life.call(work, waits=waits))

    # Tasks

    async def run_task(
        self, function: Callable[..., Awaitable[T]], *args: object, name: str = "task"
    ) -> Success[T] | Failure:
        """Run `function(*args)` as a temporary child and wait for it; its result, or how it failed, is the value.

        Nothing that the function raises comes out of here. Raises `MaxChildrenReached`. Cancelled, the task is stopped
        too, without waiting for its end.
        """
        running = Running(function, args)
        spec = ChildSpec(name, running.run, Restart.TEMPORARY)
        context = copy_context()
        incarnation = await self._call(lambda call: self._management.start_task(call, spec, context))
        try:
            await running.ended.wait()
        finally:
            self._life.stop_aside(incarnation)  # does nothing where it has ended
        assert incarnation.exit is not None
        return running.outcome(incarnation.exit)

    @contextlib.asynccontextmanager
    async def map_stream(
        self, function: Callable[[I], Awaitable[T]], items: AsyncIterable[I] | Iterable[I], *, limit: int
    ) -> AsyncIterator[MappedStream[T]]:
        """Run `function` for each item as a task under this supervisor, and iterate over the outcomes in order.

        At most `limit` items are under way at a time, and no more than twice as many taken ahead of the reader. Leaving
        the block stops what is still running, and closes the source if it is an asynchronous generator. What the block
        raises comes out as it is.
        """
        mapping = Mapping(functools.partial(self.run_task, function), items, limit)
        async with beside(mapping.feed):
            yield mapping.stream

    # The tree

    def find(self, path: str) -> Supervisor:
        """The living supervisor at `path`, relative to this one: ids joined by `/`. Raises `ChildNotFound`.

        At the path of a child with a supervisor of its own (`Handle.supervise`) it is that one.
        """
        here = self
        for id in path.split("/") if path else ():
            child = here._life.children.get(id)
            incarnation = None if child is None else child.incarnation
            inner = _supervisor_of(incarnation) or _own_supervisor(incarnation)
            if inner is None:
                raise ChildNotFound(f"{self.path}/{path}")
            here = inner
        return here

    def snapshot(self) -> Snapshot:
        """The tree from here on, as it is at this moment. Does not wait."""
        return self._snapshot(last_error=None)

    def _snapshot(self, last_error: str | None) -> Snapshot:
        window = self._life.restarts.window
        return Snapshot(
            path=self.path,
            kind="supervisor",
            state=self._state(),
            incarnation=self._incarnation.number,
            uptime=_uptime(self._incarnation),
            last_error=last_error,
            restarts=window.count(trio.current_time()),
            intensity=window.intensity,
            period=window.period,
            children=tuple(self._snapshot_of(child) for child in self._life.children),
        )

    def _state(self) -> State:
        if not self._incarnation.alive:
            return State.DOWN
        ending = self._incarnation.state is State.UP and self._life.ending is not None
        return State.STOPPING if ending else self._incarnation.state

    def _snapshot_of(self, child: Child) -> Snapshot:
        incarnation = child.incarnation
        inner = _supervisor_of(incarnation)
        if inner is not None:
            return inner._snapshot(child.last_error)
        own = _own_supervisor(incarnation)
        return Snapshot(
            path=child.path,
            kind=child.kind,
            state=child.state,
            incarnation=self._tree.attempts.of(child.path),
            uptime=None if incarnation is None else _uptime(incarnation),
            last_error=child.last_error,
            children=() if own is None else tuple(own._snapshot_of(child) for child in own._life.children),
        )

    def emit_about(self, kind: type[Event], path: str, **fields: object) -> None:
        """Send an event about any path of the tree; there need be no child."""
        self._tree.emit_about(kind, path, **fields)

    # Ending

    def stop(self, reason: Exit = Shutdown()) -> None:
        """Stop the children in reverse order and end with `reason`. Does not wait; a child may call it on its own.

        Under a parent the exit is judged like any other: a permanent supervisor that was stopped so is restarted.
        """
        self._life.stop(reason)

    async def wait_ended(self) -> Exit:
        """Wait until the supervisor has ended, all its children before it; why. Cancelled, it has only waited."""
        await self._life.ended_event.wait()
        exit = self.exit
        assert exit is not None
        return exit


def _uptime(incarnation: Incarnation) -> float | None:
    return trio.current_time() - incarnation.since if incarnation.was_up else None


def _supervisor_of(incarnation: Incarnation | None) -> Supervisor | None:
    return _handle_of(None if incarnation is None else incarnation.supervisor)


def _own_supervisor(incarnation: Incarnation | None) -> Supervisor | None:
    """The one that a child has started for children of its own."""
    below = None if incarnation is None else incarnation.below
    return None if below is None or below.over else _handle_of(below.life)


def _handle_of(life: object) -> Supervisor | None:
    return life.handle if isinstance(life, Life) and isinstance(life.handle, Supervisor) else None
