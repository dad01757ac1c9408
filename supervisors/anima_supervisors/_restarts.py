"""What a supervisor does about a child that ended: the rules B to F, applied to the mechanism in `_life`.

A restart goes: count it, stop the group, start the group. Where it cannot go on at once (a start failed, a backoff,
a stuck incarnation in the way) the child gets a `Retry`, which comes back through the inbox, so that calls are
answered in between (rule D5).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Protocol

import attrs
import trio

from . import _events as events
from ._children import Child, Children, Retry
from ._errors import HeartbeatLost, RestartIntensityExceeded
from ._exits import Error, Exit, Shutdown, error_of
from ._inbox import Inbox
from ._incarnation import Incarnation, State
from ._policy import AutoShutdown, Decision, Restart, RestartWindow, Strategy, decide, group_of
from ._specs import AnySupervisorSpec, SupervisorSpec
from ._tree import Tree


@attrs.frozen(eq=False)
class Silence:
    """A message: a child has not called its `beat` within the seconds it has `promised`."""

    incarnation: Incarnation
    promised: float


class Mechanism(Protocol):
    """What restarts are made of: the part of a `Life` that they use, inside its loop."""

    spec: AnySupervisorSpec
    path: str
    tree: Tree
    children: Children
    inbox: Inbox
    dynamic: bool
    significant: dict[Child, None]
    escalated_from: str | None

    def child_with(self, incarnation: Incarnation) -> Child | None: ...
    async def start(self, child: Child) -> BaseException | None: ...
    async def stop_one(self, child: Child) -> bool: ...
    async def stop_all(self, children: Iterable[Child]) -> None: ...
    def spawn(self, function: Callable[..., Awaitable[object]], *args: object) -> None: ...
    def forget(self, child: Child) -> None: ...
    def emit(self, kind: type[events.Event], **fields: object) -> None: ...
    def end(self, exit: Exit) -> None: ...


class Restarts:
    """Decides over exits and carries restarts out, by the mechanism it is given."""

    def __init__(self, life: Mechanism) -> None:
        self._life = life
        self.window = RestartWindow(life.spec.intensity, life.spec.period)
        self._timers: set[trio.CancelScope] = set()
        self._closed = False
        self._blocked: list[Retry] = []

    # Messages

    async def on_exit(self, incarnation: Incarnation) -> None:
        """An incarnation is gone. One that is no longer its child's current one was dealt with already (C7, G3)."""
        child = self._life.child_with(incarnation)
        if child is None:
            return
        child.leave()
        if incarnation.state is State.STUCK:
            self._no_longer_stuck(child, incarnation)
        elif incarnation.ignored:
            self.settle(child)
        else:
            assert incarnation.exit is not None
            await self._exited(child, incarnation.exit, trio.current_time() - incarnation.since)

    async def on_retry(self, retry: Retry) -> None:
        """A retry is due; stale if the child was stopped or got another one since (D6)."""
        await trio.lowlevel.checkpoint()
        if retry.child.retry is retry:
            await self._attempt(retry.child, retry.error, counted=retry.counted)

    async def on_silence(self, broken: Silence) -> None:
        """A child has broken its promise of a heartbeat: stop it, and go on as if it had failed."""
        incarnation = broken.incarnation
        child = self._life.child_with(incarnation)
        if child is None or incarnation.state is not State.UP:
            return
        silence = trio.current_time() - incarnation.last_beat
        if silence < broken.promised:  # it has beaten since: somebody else had held up the loop
            self._life.spawn(self.listen, incarnation, broken.promised)
            return
        incarnation.emit(events.HeartbeatMissed, silence=silence)
        lost = HeartbeatLost(f"{child.path} was silent for {silence:g} s")
        uptime = trio.current_time() - incarnation.since
        incarnation.kill(Error(lost))
        await self._life.stop_one(child)
        await self._exited(child, Error(lost), uptime)

    async def listen(self, incarnation: Incarnation, every: float) -> None:
        """Watch over a heartbeat; a task beside the child, for as long as it is up."""
        with self._timer() as incarnation.timer:
            while incarnation.alive and trio.current_time() < incarnation.last_beat + every:
                await trio.sleep_until(incarnation.last_beat + every)
                await trio.lowlevel.checkpoint()  # a beat that was due at the same moment comes first
            self._life.inbox.post(Silence(incarnation, every))

    async def watch_stop(self, incarnation: Incarnation) -> None:
        """Watch over a stop that nobody waits for; a task beside the child, until it is gone or stuck."""
        with self._timer() as incarnation.timer:
            await trio.sleep_until(incarnation.stuck_at)
            incarnation.mark_stuck()

    # Decisions

    async def _exited(self, child: Child, exit: Exit, uptime: float) -> None:
        child.note(exit)
        backoff = self._life.spec.backoff
        if backoff is not None and uptime >= backoff.reset_after:
            child.failures = 0
        match decide(child.spec.restart, child.spec.on_error, exit):
            case Decision.RESTART:
                await self._restart(child, error_of(exit))
            case Decision.LEAVE:
                self.settle(child)
                self._auto_shutdown(child)
            case Decision.ESCALATE:
                error = error_of(exit)
                assert error is not None
                self._life.emit(events.Escalated, child=child.path, error=error)
                self._life.escalated_from = child.path
                self._life.end(Error(error))

    def settle(self, child: Child) -> None:
        """A child has no task and gets none by itself: its spec stays, or it is forgotten (table B, C8, H1)."""
        if child.incarnation is None:
            child.down()
        if child.spec.restart is Restart.TEMPORARY or self._life.dynamic or child.doomed:
            if child.incarnation is not None:
                child.doomed = True  # stuck: forgotten when it is gone, or its place could be taken
            else:
                self._life.forget(child)

    def called_off(self, child: Child) -> None:
        """A restart that was due is not made (rule D6): who would have been started with it stays down as well."""
        due = [other for other in self._life.children if other.retry is not None]
        coming = {member for other in due for member in self._group(other)}
        for member in self._group(child):
            if member.incarnation is None and member not in coming:
                member.down()

    def _auto_shutdown(self, child: Child) -> None:
        """Rules F2, F3: a significant child has ended by itself and is not restarted."""
        spec = self._life.spec
        if not (child.spec.significant and isinstance(spec, SupervisorSpec)):
            return
        if spec.auto_shutdown is AutoShutdown.ALL_SIGNIFICANT and self._any_significant_there():
            return
        self._life.emit(events.AutoShutdownTriggered, child=child.path)
        self._life.end(Shutdown())

    def _any_significant_there(self) -> bool:
        """Whether one is there still. Those found gone are taken off the list, to which their next start puts them."""
        significant = self._life.significant
        while significant:
            child = next(iter(significant))
            if child.counts_as_there:
                return True
            del significant[child]
        return False

    # Restarting

    async def _restart(self, child: Child, error: BaseException | None) -> None:
        """The child needs a restart: now, or after the wait of the backoff."""
        if self._life.spec.backoff is None:
            await self._attempt(child, error)
        else:
            await self._back_off(child, error)

    async def _attempt(self, child: Child, error: BaseException | None, *, counted: bool = False) -> None:
        """Count the restart, stop the group and start it; or give up (rules C1 to C6, D1, D8)."""
        child.drop_retry()
        if not counted and not self._count(child, error):
            return
        group = await self._stop_group(child)
        stuck = {other.incarnation for other in group if other.incarnation is not None}
        if stuck:
            self._blocked.append(self._set_retry(child, error, counted=True, waits_for=stuck))
            return
        for member in [member for member in group if not member.doomed]:
            failure = await self._life.start(member)
            if failure is not None:
                await self._start_failed(member, failure)
                return
            if member.incarnation is None:
                self.settle(member)  # ignored

    def _count(self, child: Child, error: BaseException | None) -> bool:
        """Count a restart; False when it is one too many and the supervisor gives up."""
        life, window = self._life, self.window
        now = trio.current_time()
        if window.add(now):
            if life.spec.backoff is None:
                self._announce(child, 0.0, window.count(now))
            return True
        life.emit(events.GaveUp, child=child.path, intensity=window.intensity, period=window.period, error=error)
        life.end(Shutdown(RestartIntensityExceeded(life.path, child.path, window.intensity, window.period, error)))
        return False

    async def _stop_group(self, child: Child) -> list[Child]:
        """Stop whoever restarts with the child; temporary ones are forgotten (C4). Returns those to start, in order."""
        group = self._group(child)
        if len(group) == 1:
            return [child]
        await self._life.stop_all(member for member in reversed(group) if member is not child or child.incarnation)
        for member in group:
            if member is not child and member.spec.restart is Restart.TEMPORARY:
                self.settle(member)
        return [member for member in group if member.spec.restart is not Restart.TEMPORARY or member.doomed]

    def _group(self, child: Child) -> Sequence[Child]:
        """Who restarts with it, in start order."""
        spec = self._life.spec
        strategy = spec.strategy if isinstance(spec, SupervisorSpec) else Strategy.ONE_FOR_ONE
        if strategy is Strategy.ONE_FOR_ONE:
            return [child]
        return group_of(strategy, list(self._life.children), child)

    async def _start_failed(self, child: Child, error: BaseException) -> None:
        """A restart attempt failed: the next one goes through the inbox and counts as well (D3, D4, D5)."""
        if child.incarnation is not None:
            self._blocked.append(self._set_retry(child, error, waits_for={child.incarnation}))
        elif self._life.spec.backoff is not None:
            await self._back_off(child, error)
        else:
            self._life.inbox.post(self._set_retry(child, error))

    async def _back_off(self, child: Child, error: BaseException | None) -> None:
        """The siblings stop at once, and only the start waits."""
        self._set_retry(child, error)  # it is restarting from now on, also while its siblings still stop
        await self._stop_group(child)
        self._retry_later(child, error)

    # Retries and timers

    def _set_retry(
        self,
        child: Child,
        error: BaseException | None,
        *,
        counted: bool = False,
        waits_for: set[Incarnation] | None = None,
    ) -> Retry:
        child.retry = Retry(child, error, counted, waits_for=waits_for or set())
        return child.retry

    def _retry_later(self, child: Child, error: BaseException | None) -> None:
        """Restart the child after the wait of the backoff."""
        backoff = self._life.spec.backoff
        assert backoff is not None
        delay = backoff.delay(child.failures, self._life.tree.random)
        child.failures += 1
        retry = self._set_retry(child, error)
        self._announce(child, delay, self.window.count(trio.current_time()) + 1)
        self._life.spawn(self._post_later, delay, retry)

    async def _post_later(self, delay: float, retry: Retry) -> None:
        with self._timer() as retry.timer:
            if retry.child.retry is retry:  # it may be stale before this task has had its first turn
                await trio.sleep(delay)
                self._life.inbox.post(retry)

    @contextlib.contextmanager
    def _timer(self) -> Iterator[trio.CancelScope]:
        with trio.CancelScope() as scope:
            self._timers.add(scope)
            try:
                if self._closed:
                    scope.cancel()
                yield scope
            finally:
                self._timers.discard(scope)

    def close(self) -> None:
        """Nothing is restarted any more."""
        self._closed = True
        for scope in self._timers:
            scope.cancel()

    def _no_longer_stuck(self, child: Child, incarnation: Incarnation) -> None:
        """A stuck child has ended after all: what waited for it can go on."""
        if child.doomed:
            self._life.forget(child)
        if child.retry is None:
            child.down()
        for retry in self._blocked:
            retry.waits_for.discard(incarnation)
            if not retry.waits_for:
                self._unblocked(retry)
        self._blocked = [retry for retry in self._blocked if retry.waits_for]

    def _unblocked(self, retry: Retry) -> None:
        """Nothing is in the way of a restart any more. One that was not counted yet has its wait before it."""
        if retry.child.retry is not retry:
            return
        if self._life.spec.backoff is not None and not retry.counted:
            self._retry_later(retry.child, retry.error)
        else:
            self._life.inbox.post(retry)

    def _announce(self, child: Child, delay: float, restarts: int) -> None:
        self._life.tree.emit(
            events.RestartScheduled,
            child.path,
            self._life.tree.attempts.of(child.path) + 1,
            delay=delay,
            restarts=restarts,
            intensity=self.window.intensity,
            period=self.window.period,
        )

    def point_out_unreachable_limit(self) -> None:
        """A backoff that makes the restart limit an empty promise is worth an event."""
        backoff, window = self._life.spec.backoff, self.window
        if backoff is not None and not backoff.reaches(window.intensity, window.period):
            self._life.emit(events.BackoffNeverGivesUp, intensity=window.intensity, period=window.period)
