"""One run of a child, from its start attempt to its end: the task, its cancel scope, and what it ended with.

Invariants, guarded by tests/supervisors/test_incarnation.py and test_cancellation.py:
- the scope is shielded, so that neither an outer cancellation nor a dying nursery reaches the child: only its
  supervisor cancels it, and so children can be stopped in order (chapter 2, point 4 of the rules)
- whether a child was stopped is known from `state` and the scope, never from the type of an exception
- `ended` is told to the owner exactly once, and for whatever reason the task is left
"""

from __future__ import annotations

import contextlib
import enum
import functools
import math
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

import trio
from trio.lowlevel import Task, disable_ki_protection, enable_ki_protection

from . import _events as events
from ._below import Below
from ._errors import BadFactory, ReturnedBeforeStarted, StartCancelled, StartTimeout
from ._exits import Error, Exit, Killed, Normal, Shutdown, exit_for, is_ignore, leaves
from ._given import Handle, StopRequest
from ._specs import (
    After,
    AnySupervisorSpec,
    ChildSpec,
    DynamicSupervisorSpec,
    Kill,
    SpecFactory,
    SupervisorSpec,
    given_parameters,
)
from ._tree import Tree

#: How long after its bound a child that is still alive is called stuck.
STUCK_AFTER = 1.0


class State(enum.Enum):
    """Where a child is. `STUCK` still runs although its stop has run out; `DOWN` has a spec and no task."""

    STARTING = "starting"
    UP = "up"
    STOPPING = "stopping"
    STUCK = "stuck"
    RESTARTING = "restarting"
    DOWN = "down"


class InnerSupervisor(Protocol):
    """What an incarnation needs of the supervisor that it runs."""

    ending: Exit | None
    only_stuck_left: bool
    handle: object

    async def run(self, incarnation: Incarnation) -> Exit: ...
    def stop(self, reason: Exit = ...) -> None: ...
    def hurry(self) -> None: ...


class Owner(Protocol):
    """The supervisor of the child; the root incarnation has `open_supervisor` for an owner."""

    def stop(self, reason: Exit = ...) -> None: ...
    def on_down(self, incarnation: Incarnation, callback: Callable[[Exit], object]) -> None: ...
    def spawn(self, function: Callable[..., Awaitable[object]], *args: object) -> None: ...

    def inner(self, spec: AnySupervisorSpec, incarnation: Incarnation) -> InnerSupervisor: ...
    def came_up(self, incarnation: Incarnation) -> None: ...
    def ended(self, incarnation: Incarnation) -> None: ...
    def became_stuck(self, incarnation: Incarnation) -> None: ...


class Incarnation:
    """One run of one child."""

    __slots__ = (
        "_handle",
        "_owner",
        "_spec",
        "_stop",
        "_tree",
        "below",
        "bound",
        "exit",
        "fatal",
        "ignored",
        "last_beat",
        "number",
        "path",
        "presumed",
        "scope",
        "since",
        "state",
        "stop_begun",
        "stuck_at",
        "supervisor",
        "timer",
        "value",
        "verdict",
        "was_up",
    )

    def __init__(self, owner: Owner, spec: ChildSpec, path: str, tree: Tree, *, shield: bool = True) -> None:
        now = trio.current_time()
        timeout = math.inf if spec.start_timeout is None else spec.start_timeout
        # Trio's setter of a deadline costs more than the whole rest of this, so there is one only if it is asked for.
        self.scope = trio.CancelScope(shield=shield)
        if timeout < math.inf:
            self.scope.deadline = now + timeout
        self.path = path
        self.number = tree.attempts.add(path)
        self.state = State.STARTING
        self.since = now
        self.was_up = False
        #: it counts as up, and is still to say so itself
        self.presumed = False
        self.ignored = False
        self.fatal = False
        self.exit: Exit | None = None
        #: set where the exit is decided before the task has ended: whatever its cleanup does, this is the reason
        self.verdict: Exit | None = None
        self.value: object = None
        self.supervisor: InnerSupervisor | None = None
        #: the supervisor it has started for children of its own
        self.below: Below | None = None
        self.bound = _seconds(spec.shutdown)
        self.stuck_at = now + timeout + self.bound + STUCK_AFTER
        self.stop_begun = False
        #: the task that listens for its heartbeat
        self.timer: trio.CancelScope | None = None
        self._handle = Handle(self)
        self._owner = owner
        self._spec = spec
        self._tree = tree
        self._stop = StopRequest() if "stop" in spec.takes else None
        self.last_beat = now
        self.emit(events.Starting)

    @property
    def alive(self) -> bool:
        return self.exit is None

    @property
    def over(self) -> bool:
        """Nothing more is to be waited for: it has ended, or is stuck."""
        return self.exit is not None or self.state is State.STUCK

    @property
    def id(self) -> str:
        return self._spec.id

    @property
    def owner(self) -> Owner:
        return self._owner

    def emit(self, kind: type[events.Event], **fields: Any) -> None:
        self._tree.emit(kind, self.path, self.number, **fields)

    # The run

    @enable_ki_protection
    async def run(self) -> None:
        """The child's task. Lets through only what is no failure of a child: see `_passes`."""
        self._tree.running[trio.lowlevel.current_task()] = self
        try:
            with self.scope:
                start: Any = self._spec.start
                try:
                    if self._spec.up_at_once:  # the usual case, without a coroutine more
                        await _unprotected(start, **self._given(self._spec.takes))
                        exit: Exit = Normal()
                    else:
                        exit = await self._run(start)
                except BaseException:
                    if self.below is not None:
                        # What it raised decides over its exit, also where it is cancelled while its children end.
                        with contextlib.suppress(trio.Cancelled):
                            await self.below.end()
                    raise
                if self.below is not None:
                    await self.below.end()
            if self.scope.cancelled_caught:
                exit = self._cancelled_exit()
        except BaseException as error:
            self.fatal = self._passes(error)
            if not self.fatal:
                _drop_our_frames(error)
            self._end(self._exit_for(error), error)
            if self.fatal:
                raise
        else:
            self._end(exit, None)
        finally:
            del self._tree.running[trio.lowlevel.current_task()]
            self._handle.cut()  # it would make a circle: the collector is slow, and a crash loop is fast

    async def _run(self, start: object) -> Exit:
        match start:
            case SpecFactory(make):
                made = await _unprotected(make)
                if isinstance(made, SpecFactory) or not (
                    isinstance(made, SupervisorSpec | DynamicSupervisorSpec) or callable(made)
                ):
                    raise BadFactory(f"{self.path}: its SpecFactory made {made!r}, which cannot be started")
                return await self._run(made)
            case SupervisorSpec() | DynamicSupervisorSpec():
                self.supervisor = self._owner.inner(start, self)
                return await self.supervisor.run(self)
            case _:
                assert callable(start)
                named = self._spec.takes if start is self._spec.start else given_parameters(start)
                if "task_status" not in named and self.state is State.STARTING:
                    self.started()
                await _unprotected(start, **self._given(named))
                return Normal()

    def _given(self, named: frozenset[str]) -> dict[str, Any]:
        if not named:
            return {}
        if "stop" in named:
            self._stop = self._stop or StopRequest()
        handle = self._handle
        all_given = {
            "task_status": handle,
            "stop": self._stop,
            "beat": handle.beat,
            "emit": handle.emit,
            "handle": handle,
        }
        return {name: all_given[name] for name in named}

    def _cancelled_exit(self) -> Exit:
        """The exit of a task that ended by its own scope. While starting it is read as a failed start instead."""
        return Shutdown() if self.stop_begun and not self._outlived_request() else Killed()

    def _outlived_request(self) -> bool:
        return self._stop is not None and self._stop.is_set() and self.scope.cancel_called

    def _exit_for(self, error: BaseException) -> Exit:
        if not self._is_cancelled_root(error):
            return exit_for(error)
        return (self.supervisor and self.supervisor.ending) or Shutdown()

    def _is_cancelled_root(self, error: BaseException) -> bool:
        return self.fatal and all(isinstance(leaf, trio.Cancelled) for leaf in leaves(error))

    def _passes(self, error: BaseException) -> bool:
        """Whether `error` is no failure of the child: it stops the tree in order and comes out of it."""
        if isinstance(error, Exception) and not isinstance(error, ExceptionGroup | trio.TrioInternalError):
            return False
        for leaf in leaves(error):
            if isinstance(leaf, trio.Cancelled):
                # Ours never leaves the scope and, behind the shield, no other can be delivered: the child has raised
                # an old one again, which is an error of its own. The root is not shielded: there it is the caller's.
                if not self.scope.shield:
                    return True
            elif not isinstance(leaf, Exception) or isinstance(leaf, trio.TrioInternalError):
                return True
        return False

    def _end(self, exit: Exit, error: BaseException | None) -> None:
        if not self.was_up:
            self._end_start(error)
            return
        if self.verdict is not None:
            exit = Killed(error) if isinstance(self.verdict, Killed) else self.verdict
        elif error is not None and self._outlived_request():
            exit = Killed(error)
        elif self.presumed and is_ignore(error):
            self.ignored = True
            exit = Normal()
        self.exit = exit
        if self.timer is not None:
            self.timer.cancel()
        self.emit(events.Exited, exit=exit, stopped=self.stop_begun, uptime=trio.current_time() - self.since)
        self._owner.ended(self)

    def _end_start(self, error: BaseException | None) -> None:
        """The task ended before it was up: ignored, or a failed start (rules A3, A4, D3)."""
        if is_ignore(error):
            self.ignored = True
            self.exit = Normal()
            self.emit(events.StartIgnored)
        else:
            if error is None or self._is_cancelled_root(error):
                error = self._why_not_up()
            self.exit = Error(error)
            self.emit(events.StartFailed, error=error)
        self._owner.ended(self)

    def _why_not_up(self) -> Exception:
        ending = self.supervisor is not None and self.supervisor.ending is not None
        if self.stop_begun or self.verdict is not None or ending or not self.scope.shield:
            return StartCancelled(f"{self.path} was stopped during its start")
        if self.scope.cancel_called:
            return StartTimeout(f"{self.path} was not up within {self._spec.start_timeout:g} s")
        return ReturnedBeforeStarted(f"{self.path} ended before it called task_status.started()")

    def started(self, value: object = None) -> None:
        """The child is up."""
        if self.presumed:
            self.presumed = False
            return
        if self.was_up:
            raise RuntimeError("called 'started' twice on the same task status")
        if self.state is not State.STARTING or self.scope.cancel_called:
            return  # too late: the start was cancelled, and is reported as such
        self.was_up = True
        self.state = State.UP
        self.value = value
        self.since = self.last_beat = trio.current_time()
        self.stuck_at = math.inf
        if self._spec.start_timeout is not None:
            self.scope.deadline = math.inf
        self.emit(events.Started, value=value)
        self._owner.came_up(self)

    def started_at_once(self) -> None:
        """The child is up, without a word of its own."""
        self.started()
        self.presumed = self._spec.up_again_at_once

    # What its child asks for, by its handle

    @property
    def tree(self) -> Tree:
        return self._tree

    def on_down(self, callback: Callable[[Exit], object]) -> None:
        self._owner.on_down(self, callback)

    async def supervise(self, spec: AnySupervisorSpec) -> Any:
        """Start a supervisor of the child's own and wait until it is up."""
        if self.below is not None and not self.below.over:
            raise RuntimeError(f"{self.path} has a supervisor of its own already")
        inner = self._owner.inner(spec, self)
        self.below = below = Below(inner)
        self._owner.spawn(self._run_below, below, inner)
        await below.wait_until_up()
        return inner.handle

    async def _run_below(self, below: Below, inner: InnerSupervisor) -> None:
        self._tree.running[trio.lowlevel.current_task()] = self
        try:
            await below.run(functools.partial(inner.run, self), self.kill)
        finally:
            del self._tree.running[trio.lowlevel.current_task()]

    def supervisor_up(self, supervisor: InnerSupervisor) -> None:
        """A supervisor that runs here has started its first children."""
        if self.below is not None and self.below.life is supervisor:
            self.below.came_up()
        else:
            self.started(supervisor.handle)

    # What the supervisor does to it

    def begin_stop(self, *, hurried: bool) -> None:
        """Ask the child to stop, or cancel it, and start the clock. A second call does not restart it."""
        if self.stop_begun or self.over:
            return
        starting = self.state is State.STARTING
        policy = self._spec.shutdown
        self.stop_begun = True
        self.state = State.STOPPING
        self._set_bound(_seconds(policy))
        if hurried:
            self.hurry()
        if isinstance(policy, Kill):
            self.verdict = self.verdict or Killed()
            self.scope.cancel(reason="killed by its supervisor")
        elif self.supervisor is not None:
            self.scope.deadline = trio.current_time() + self.bound
            self.supervisor.stop(Shutdown())
        elif self._stop is not None and not starting:
            self._ask_to_stop()
        else:
            self.scope.cancel(reason="stopped by its supervisor")
        self.emit(events.Stopping, bound=self.bound)
        if self.supervisor is not None and self.supervisor.only_stuck_left:
            self.mark_stuck()  # it had ended by itself, as far as it could

    def _ask_to_stop(self) -> None:
        assert self._stop is not None
        self.scope.deadline = self._stop.deadline = trio.current_time() + self.bound
        self._stop._set()

    def hurry(self) -> None:
        """The stop is under an outer cancellation: a bound that never ends becomes the tree's grace."""
        if self.below is not None:
            self.below.life.hurry()
        if self.supervisor is not None:
            self.supervisor.hurry()
        elif self.bound == math.inf:
            self._set_bound(self._tree.grace)
            if self._stop is not None and self._stop.is_set():
                self.scope.deadline = self._stop.deadline = trio.current_time() + self.bound

    def _set_bound(self, seconds: float) -> None:
        self.bound = seconds
        self.stuck_at = trio.current_time() + seconds + STUCK_AFTER

    def kill(self, verdict: Exit) -> None:
        """Cancel the child now; whatever its cleanup does, it ended for `verdict`."""
        self.verdict = verdict
        self.scope.cancel(reason="killed")

    def mark_stuck(self) -> None:
        """The stop has run out and the child is still there, or something below it is."""
        if self.state in (State.STARTING, State.STOPPING) and self.exit is None:
            self.state = State.STUCK
            self.emit(events.Stuck, bound=self.bound)
            self._owner.became_stuck(self)


def _seconds(policy: object) -> float:
    match policy:
        case After(seconds):
            return seconds
        case Kill():
            return 0.0
        case _:
            return math.inf


def _drop_our_frames(error: BaseException) -> None:
    """Begin the traceback with the child's own frame: ours say nothing, and refer back to the incarnation."""
    part = error.__traceback__
    while part is not None and part.tb_frame.f_code.co_filename == __file__:
        part = part.tb_next
    error.__traceback__ = part


@disable_ki_protection
async def _unprotected(function: Callable[..., Awaitable[Any]], **given: Any) -> Any:
    running = function(**given)
    del given  # an idle child would keep it
    return await running


def incarnations_around(tree: Tree, task: Task | None) -> Iterator[Incarnation]:
    """The incarnations of a tree inside which `task` runs, however deep, the innermost first."""
    while task is not None:
        incarnation: Incarnation | None = tree.running.get(task)
        if incarnation is not None:
            yield incarnation
        task = None if task.parent_nursery is None else task.parent_nursery.parent_task
