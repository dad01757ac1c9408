"""The life of one supervisor: start the children in order, serve the inbox, stop the children in reverse order.

One loop owns all state; everything else posts a message to it. The loop waits in three places only: for the inbox,
for a child to start, for a child to stop. Whatever ends it (a stop, giving up, an outer cancellation, a
KeyboardInterrupt in a child) leads through the same ordered stop, which goes on from where it was when it is
interrupted by an outer cancellation.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextvars import copy_context
from typing import Any

import trio
from trio.lowlevel import enable_ki_protection

from . import _events as events
from ._children import Child, Children, Retry
from ._errors import ChildStartFailed, StartTimeout, SupervisorDeadlock, SupervisorStopped
from ._exits import Error, Exit, Shutdown, error_of
from ._inbox import YIELD_EVERY, Call, Inbox, Parking, run_now
from ._incarnation import Incarnation, InnerSupervisor, State, incarnations_around
from ._policy import Strategy
from ._restarts import Restarts, Silence
from ._specs import AnySupervisorSpec, DynamicSupervisorSpec, SupervisorSpec
from ._tree import Tree


class Life:
    """The mechanism behind a `Supervisor`."""

    def __init__(
        self,
        spec: AnySupervisorSpec,
        path: str,
        tree: Tree,
        make_inner: Callable[[AnySupervisorSpec, Incarnation], InnerSupervisor],
    ) -> None:
        self.spec = spec
        self.dynamic = isinstance(spec, DynamicSupervisorSpec)
        self.path = path
        self.tree = tree
        self.children = Children()
        self.inbox = Inbox()
        self.restarts = Restarts(self)
        #: why it is ending, from the moment it knows
        self.ending: Exit | None = None
        #: the first child that did not come up
        self.failure: ChildStartFailed | None = None
        self.only_stuck_left = False
        #: significant children in the order of their last start; some of them may be gone (see `Restarts`)
        self.significant: dict[Child, None] = {}
        #: the child whose error it ends with, by that child's own rule
        self.escalated_from: str | None = None
        #: the `Supervisor` that its users hold
        self.handle: object = None
        self.closed = False
        self._make_inner = make_inner
        self._incarnation: Incarnation | None = None
        self._nursery: trio.Nursery | None = None
        self._work = trio.CancelScope()
        self._hurried = False
        self._progress = Parking()
        self._awaited: Incarnation | None = None
        self._calls: dict[Call, None] = {}
        self._done_at_once = 0
        self._at_once = False
        self._calls_from: dict[Incarnation, dict[Call, None]] = {}
        self._body: trio.CancelScope | None = None
        self.ended_event = trio.Event()

    # From start to end

    @enable_ki_protection
    async def run(self, incarnation: Incarnation) -> Exit:
        """The whole life. Returns why it ended; raises `ChildStartFailed` when it never came up."""
        try:
            return await self._run(incarnation)
        finally:
            self.ended_event.set()  # there is no checkpoint from here to the incarnation's end

    @enable_ki_protection
    async def _run(self, incarnation: Incarnation) -> Exit:
        self._incarnation = incarnation
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            try:
                with self._work:
                    self.failure = await self._start_children()
                    if self.failure is None:
                        self._came_up(incarnation)
                        await self._serve()
                await self._stop_children()
            except BaseException:
                # An outer cancellation, or something that is no child's failure: stop in order all the same.
                # Shielded without a deadline of its own: every child has a bound, or the grace.
                self.hurry()
                with trio.CancelScope(shield=True):
                    await self._stop_children()
                raise
            finally:
                self._close()
        if self.failure is not None:
            raise self.failure
        return self.ending or Shutdown()

    def _came_up(self, incarnation: Incarnation) -> None:
        self.restarts.point_out_unreachable_limit()
        incarnation.supervisor_up(self)

    async def _start_children(self) -> ChildStartFailed | None:
        """Start the spec's children in order; the first failure is final (rules A1, A3)."""
        if isinstance(self.spec, SupervisorSpec):
            context = copy_context()
            for spec in self.spec.children:
                child = Child(spec, f"{self.path}/{spec.id}", context)
                self.children.add(child)
                error = await self.start(child)
                if error is not None:
                    return ChildStartFailed(child.path, error)
                if child.incarnation is None:
                    self.restarts.settle(child)  # ignored
        return None

    async def _serve(self) -> None:
        while self.ending is None:
            # No name for the message here: it would keep a dead incarnation alive until the next one comes.
            await self._take(await self.inbox.get())

    async def _take(self, message: object) -> None:
        match message:
            case Incarnation():
                await self.restarts.on_exit(message)
            case Retry():
                await self.restarts.on_retry(message)
            case Silence():
                await self.restarts.on_silence(message)
            case None:
                await trio.lowlevel.checkpoint()  # a nudge: there is something else to be seen than a message
            case Call():
                if not (message.abandoned or message.done):
                    await message.execute()
                self._calls.pop(message, None)

    def body_scope(self) -> trio.CancelScope:
        """A scope for the block of the root, cancelled when the children have stopped."""
        self._body = trio.CancelScope()
        if self.closed:
            self._body.cancel(reason=f"{self.path} has ended")
        return self._body

    def own_error(self) -> BaseException | None:
        """The failure that ends it, however the end then comes about."""
        return self.failure or (error_of(self.ending) if self.ending is not None else None)

    def end(self, exit: Exit) -> None:
        """End the life for this reason, unless it is ending already. Called in the loop."""
        if self.ending is None:
            self.ending = exit

    def stop(self, reason: Exit = Shutdown()) -> None:
        """End the life for this reason, from anywhere: what the loop waits for is cancelled. Does not wait."""
        self.end(reason)
        self._work.cancel(reason=f"{self.path} is stopping")

    def hurry(self) -> None:
        """The stop happens under an outer cancellation: no bound is for ever now, here and below."""
        self._hurried = True
        for child in self.children:
            if child.incarnation is not None and child.incarnation.state is State.STOPPING:
                child.incarnation.hurry()
        self._progress.wake()

    async def _stop_children(self) -> None:
        """Stop all children in reverse order; a dynamic supervisor's in parallel (rules A2, C8)."""
        if self.ending is None:
            self.ending = Shutdown()
        await self.stop_all(reversed(list(self.children)), together=self.dynamic)
        self.only_stuck_left = any(child.incarnation is not None for child in self.children)
        above = self._incarnation
        # A child's own supervisor may end alone: then the child goes on.
        if self.only_stuck_left and above is not None and (above.supervisor is self or above.stop_begun):
            above.mark_stuck()

    def _close(self) -> None:
        """No call is answered any more. The body of the root goes first: it may be waiting for one of them."""
        self.restarts.close()
        for child in self.children:
            child.down()
            if child.unnamed:
                self.tree.attempts.forget(child.path)
            elif self.dynamic:
                self.tree.attempts.retire(child.path)
        if self._body is not None:
            self._body.cancel(reason=f"{self.path} has ended")
        for call in self._calls:
            call.fail(SupervisorStopped(self.path))
        self._calls.clear()
        self.closed = True

    # Calls

    @enable_ki_protection
    async def call(self, work: Callable[[Call], Awaitable[object]], *, waits: bool = True) -> object:
        """Have `work` done by the loop and wait for its result. Work that never `waits` may be done here and now."""
        await trio.lowlevel.checkpoint_if_cancelled()
        task = trio.lowlevel.current_task()
        if self.closed:
            await trio.lowlevel.cancel_shielded_checkpoint()  # or a loop of attempts would let nobody else run
            raise SupervisorStopped(self.path)
        caller = self.child_of(task)
        if caller is not None and caller.state in (State.STARTING, State.STOPPING):
            await trio.lowlevel.cancel_shielded_checkpoint()  # the same
            raise SupervisorDeadlock(caller.path)
        call = Call(work, task)
        if not waits and self.inbox.idle and self.ending is None:
            # The loop would take it next and do the same; it costs two turns of the scheduler less.
            self._now(call.execute())
            self._done_at_once += 1
            if self._done_at_once % YIELD_EVERY == 0:
                await trio.lowlevel.cancel_shielded_checkpoint()
            return call.result()
        self._calls[call] = None
        if caller is not None:
            self._calls_from.setdefault(caller, {})[call] = None
        self.inbox.post(call)
        try:
            return await call.answer()
        finally:
            if caller is not None:
                del self._calls_from[caller][call]
                if not self._calls_from[caller]:
                    del self._calls_from[caller]

    def child_of(self, task: trio.lowlevel.Task) -> Incarnation | None:
        """The incarnation of a child of this supervisor inside which `task` runs, however deep."""
        for around in incarnations_around(self.tree, task):
            if around.owner is self:
                return around
        return None

    def _refuse_calls_from(self, stopping: Incarnation) -> None:
        """A child that is asked to stop while it waits for us would wait until its bound (rule H5)."""
        for call in self._calls_from.get(stopping, ()):
            call.fail(SupervisorDeadlock(stopping.path))

    # Starting one child

    async def start(self, child: Child, abandoned: Call | None = None) -> BaseException | None:
        """Make a start attempt and wait until the child is up, ignored or failed; returns the error of a failed one.

        Afterwards the child has an incarnation if it is up, or if the failed attempt is stuck. Cancelled, the attempt
        is left in its place, and the ordered stop deals with it.
        """
        if not self._at_once:
            await trio.lowlevel.checkpoint_if_cancelled()
        assert child.incarnation is None
        child.drop_retry()
        incarnation = Incarnation(self, child.spec, child.path, self.tree)
        child.incarnation = incarnation
        if child.spec.significant:
            self.significant[child] = None
        child.context.run(self._spawn, incarnation)
        if child.up_at_once:
            if child.spec.start_timeout is not None:
                incarnation.scope.deadline = math.inf  # it may have passed: something has held up the loop
            incarnation.started_at_once()
        else:
            if abandoned is not None:
                abandoned.on_abandon = lambda: self._cancel_start(incarnation)
            await self._until_started(incarnation)
        if incarnation.fatal:
            await trio.lowlevel.checkpoint()  # the nursery has been cancelled: nothing else is to be done here
        if incarnation.was_up:
            child.came_up()
            if child.spec.heartbeat is not None:
                self.spawn(self.restarts.listen, incarnation, child.spec.heartbeat)
            return None
        if incarnation.alive:
            return StartTimeout(f"{child.path} did not come up, was cancelled and is stuck")
        child.leave()
        if incarnation.ignored:
            return None
        assert isinstance(incarnation.exit, Error)
        child.note(incarnation.exit)
        return incarnation.exit.exception

    async def _until_started(self, incarnation: Incarnation) -> None:
        """Wait until a start attempt is up, over, or so late that it is marked as stuck."""
        self._awaited = incarnation
        try:
            while not (incarnation.was_up or incarnation.over):
                with trio.CancelScope(deadline=incarnation.stuck_at) as scope:
                    await self._progress.wait()
                if scope.cancelled_caught and trio.current_time() >= incarnation.stuck_at:
                    incarnation.mark_stuck()
        finally:
            self._awaited = None

    def _spawn(self, incarnation: Incarnation) -> None:
        assert self._nursery is not None
        self._nursery.start_soon(incarnation.run, name=incarnation.path)

    def _cancel_start(self, incarnation: Incarnation) -> None:
        if not incarnation.was_up:
            incarnation.begin_stop(hurried=False)
            self._wake(incarnation)

    # Stopping

    async def stop_all(self, children: Iterable[Child], *, together: bool = False) -> None:
        """Stop children one after another, or together, and wait for each until it is gone or stuck.

        A restart that was due for one of them is off. One cancel scope serves for all waits: its deadline is that of
        the child waited for, and when it fires that child is stuck.
        """
        todo = deque(children)
        if together:
            for child in todo:
                self._begin_stop(child)
        while todo:
            with trio.CancelScope() as scope:
                while todo:
                    await self._stop_child(todo[0], scope)
                    todo.popleft()
            if scope.cancelled_caught:
                incarnation = todo[0].incarnation
                if incarnation is not None and trio.current_time() >= incarnation.stuck_at:
                    incarnation.mark_stuck()

    async def stop_one(self, child: Child) -> bool:
        """Stop a child and wait until it is gone (True) or stuck (False)."""
        await self.stop_all([child])
        return child.incarnation is None

    async def _stop_child(self, child: Child, scope: trio.CancelScope) -> None:
        child.drop_retry()
        incarnation = child.incarnation
        if incarnation is None:
            return
        self._begin_stop(child)
        self._awaited = incarnation
        try:
            while not incarnation.over:
                scope.deadline = incarnation.stuck_at
                await self._progress.wait()
        finally:
            self._awaited = None
        if not incarnation.alive:
            child.leave()
            if self.ending is not None:
                child.down()

    def stop_aside(self, incarnation: Incarnation) -> None:
        """Stop a temporary child without waiting: its end goes through the inbox. Called from anywhere on the loop."""
        child = self.child_with(incarnation)
        if child is not None and incarnation.alive and not self.closed:
            child.doomed = True
            incarnation.begin_stop(hurried=self._hurried)
            self.spawn(self.restarts.watch_stop, incarnation)

    def _begin_stop(self, child: Child) -> None:
        if child.incarnation is not None and child.incarnation.alive:
            self._refuse_calls_from(child.incarnation)
            child.incarnation.begin_stop(hurried=self._hurried)

    # What incarnations say and ask for

    def on_down(self, incarnation: Incarnation, callback: Callable[[Exit], object]) -> None:
        child = self.child_with(incarnation)
        if child is not None:
            child.on_down = callback

    def inner(self, spec: AnySupervisorSpec, incarnation: Incarnation) -> InnerSupervisor:
        return self._make_inner(spec, incarnation)

    def came_up(self, incarnation: Incarnation) -> None:
        self._wake(incarnation)

    def ended(self, incarnation: Incarnation) -> None:
        """Its exit goes through the inbox, unless the start that failed is being waited for, or it is no exit."""
        if self.closed:
            child = self.child_with(incarnation)
            if child is not None:  # it was stuck: nobody reads the inbox any more
                child.leave()
        elif not incarnation.fatal and (incarnation.was_up or incarnation.state is State.STUCK):
            if self.inbox.idle and self.ending is None and self._restarts_at_once(incarnation):
                # The loop would take it next and do the same; it costs a turn of the scheduler less.
                self._now(self.restarts.on_exit(incarnation))
                if self.ending is not None:
                    self.inbox.nudge()
            else:
                self.inbox.post(incarnation)
        self._wake(incarnation)

    def became_stuck(self, incarnation: Incarnation) -> None:
        self._wake(incarnation)

    def _now(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what the loop would do next. It waits for nothing: in whose task it is done does not matter."""
        self._at_once = True
        try:
            run_now(work)
        finally:
            self._at_once = False

    def _restarts_at_once(self, incarnation: Incarnation) -> bool:
        """Whether nothing has to be waited for if this exit is followed by a restart."""
        child = self.child_with(incarnation)
        alone = self.dynamic or (isinstance(self.spec, SupervisorSpec) and self.spec.strategy is Strategy.ONE_FOR_ONE)
        return alone and incarnation.state is State.UP and child is not None and child.up_at_once

    def _wake(self, incarnation: Incarnation) -> None:
        if self._awaited is incarnation:
            self._progress.wake()

    def spawn(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a task beside the children; it must end by itself when the restarts are closed and the children gone."""
        assert self._nursery is not None
        self._nursery.start_soon(function, *args)

    # What the restarts need

    def child_with(self, incarnation: Incarnation) -> Child | None:
        """The child whose current incarnation this is."""
        child = self.children.get(incarnation.id)
        return child if child is not None and child.incarnation is incarnation else None

    def forget(self, child: Child) -> None:
        self.children.remove(child)
        if child.unnamed:
            self.tree.attempts.forget(child.path)
        else:
            self.tree.attempts.retire(child.path)

    def emit(self, kind: type[events.Event], **fields: object) -> None:
        """An event about this supervisor itself."""
        if self._incarnation is not None:
            self._incarnation.emit(kind, **fields)
