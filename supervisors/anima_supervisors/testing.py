"""For tests of your own trees: a log of events, children that do as they are told, a hold on a supervisor's inbox.

Use them on Trio's `MockClock` and settle with `trio.testing.wait_all_tasks_blocked()`. `trees()` is a Hypothesis
strategy for whole trees of puppets; `check_log` asserts what holds for every tree whatever happens in it.
"""

from __future__ import annotations

import contextlib
import enum
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import trio

from ._errors import ChildNotFound
from ._events import Event, Exited, RestartScheduled, Started, StartFailed, StartIgnored
from ._exits import CleanExit, Ignore, Killed
from ._incarnation import Incarnation
from ._policy import AutoShutdown, Backoff, Restart, Strategy
from ._specs import After, ChildSpec, DynamicSupervisorSpec, Kill, SupervisorSpec
from ._supervisor import Supervisor

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

E = TypeVar("E", bound=Event)


class EventLog:
    """A hook that keeps all events: `log = EventLog()`, `on_event=Inline(log)`."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event) -> None:
        self.events.append(event)

    def of(self, *kinds: type[E]) -> list[E]:
        """The events of these kinds, in order."""
        return [event for event in self.events if isinstance(event, kinds)]

    def paths(self, *kinds: type[Event]) -> list[str]:
        """The paths that the events of these kinds are about, in order: a start order, a stop order."""
        return [event.path for event in self.of(*kinds)]

    def clear(self) -> None:
        self.events.clear()


class PuppetError(Exception):
    """What a puppet raises when it is told to fail."""


class Start(enum.Enum):
    """What a puppet does at a start attempt."""

    OK = "ok"
    FAIL = "fail"
    IGNORE = "ignore"


class OnStop(enum.Enum):
    """What a puppet does when it is asked to stop."""

    SHUTDOWN = "shutdown"  #: ends cleanly
    NORMAL = "normal"  #: returns
    ERROR = "error"  #: raises in its cleanup
    STUBBORN = "stubborn"  #: ignores the request and ends when it is cancelled
    DEAF = "deaf"  #: ignores the cancellation too, until `release` is called


class Puppet:
    """A child that does as it is told. Its attempts follow `starts`; further ones are `Start.OK`.

    Pass `puppet.run` as the start callable. `before_start`, if set, is awaited in each attempt first.
    """

    def __init__(self, starts: Iterable[Start] = (), on_stop: OnStop = OnStop.SHUTDOWN) -> None:
        self.starts = list(starts)
        self._order: Callable[[], None] | None = None
        self._ordered = trio.Event()
        self._released = trio.Event()
        self.on_stop = on_stop
        self.attempts = 0
        self.running = 0
        self.before_start: Callable[[Start], Any] | None = None

    async def run(self, *, stop: Any, task_status: Any) -> None:
        outcome = self.starts[self.attempts] if self.attempts < len(self.starts) else Start.OK
        self.attempts += 1
        if self.before_start is not None:
            await self.before_start(outcome)
        match outcome:
            case Start.FAIL:
                raise PuppetError("told to fail at its start")
            case Start.IGNORE:
                raise Ignore
            case Start.OK:
                task_status.started(self)
        self._ordered = trio.Event()
        self.running += 1
        assert self.running == 1, "two incarnations at once"
        try:
            await self._live(stop)
        finally:
            self.running -= 1

    async def _live(self, stop: Any) -> None:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._obey, stop)
                await self._ordered.wait()
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None  # one task, one error: as if there were no nursery
        finally:
            if self.on_stop is OnStop.DEAF and not self._ordered.is_set():
                with trio.CancelScope(shield=True):  # deaf on purpose: `release` ends it
                    await self._released.wait()
        assert self._order is not None
        self._order()

    async def _obey(self, stop: Any) -> None:
        await stop.wait()
        match self.on_stop:
            case OnStop.SHUTDOWN:
                self.end()
            case OnStop.NORMAL:
                self.finish()
            case OnStop.ERROR:
                self.fail(PuppetError("told to fail in its cleanup"))
            case _:
                await trio.sleep_forever()

    def _give(self, order: Callable[[], None]) -> None:
        self._order = order
        self._ordered.set()

    def finish(self) -> None:
        """Return."""
        self._give(lambda: None)

    def end(self, info: object = None) -> None:
        """Raise `CleanExit(info)`."""
        self._give(functools.partial(_raise, CleanExit(info)))

    def fail(self, error: BaseException | None = None) -> None:
        """Raise `error`, by default a `PuppetError`."""
        self._give(functools.partial(_raise, error or PuppetError("told to fail")))

    def release(self) -> None:
        """Let a deaf puppet end."""
        self._released.set()


def _raise(error: BaseException) -> None:
    raise error


@contextlib.contextmanager
def held(supervisor: Supervisor) -> Iterator[None]:
    """Inside this block the supervisor takes nothing from its inbox: calls and exits pile up in their order."""
    with supervisor._life.inbox.held():
        yield


def incarnation_at(supervisor: Supervisor, path: str) -> Incarnation:
    """The running incarnation of the child at `path`, relative to the supervisor. Raises `ChildNotFound`."""
    parent, _, id = path.rpartition("/")
    child = supervisor.find(parent)._life.children.get(id)
    if child is None or child.incarnation is None or not child.incarnation.alive:
        raise ChildNotFound(f"{supervisor.path}/{path}")
    return child.incarnation


def kill(supervisor: Supervisor, path: str) -> None:
    """Cancel the child at `path` from outside, behind its supervisor's back: it exits as `Killed`."""
    incarnation_at(supervisor, path).kill(Killed())


def check_log(events: Sequence[Event], *, ended: bool = True) -> None:
    """Assert what holds in every tree. `ended`: the log goes up to the end of the tree.

    No path has two incarnations at once; incarnation numbers grow by one with each attempt; an exit follows its start;
    a supervisor ends after all its children; no restart is beyond its limit; nothing outlives the tree.
    """
    up: dict[str, int] = {}
    attempts: dict[str, int] = {}
    for event in events:
        about = f"{event.name} {event.path} #{event.incarnation}"
        match event:
            case Started() | StartFailed() | StartIgnored():
                assert event.path not in up, f"{about}: #{up.get(event.path)} is still up"
                assert event.incarnation > attempts.get(event.path, 0), f"{about}: this number was used before"
                attempts[event.path] = event.incarnation
                if isinstance(event, Started):
                    up[event.path] = event.incarnation
            case Exited():
                assert up.get(event.path) == event.incarnation, f"{about}: it was not up"
                below = [path for path in up if path.startswith(event.path + "/")]
                assert not below, f"{about}: {below} outlive it"
                del up[event.path]
            case RestartScheduled():
                assert event.delay > 0 or event.restarts <= event.intensity, f"{about}: beyond the limit"
            case _:
                pass
    assert not (ended and up), f"still up at the end: {up}"


@attrs.frozen
class PuppetTree:
    """A spec whose workers are puppets, by path (the root's is `root`)."""

    spec: SupervisorSpec
    puppets: dict[str, Puppet]


def trees(*, max_depth: int = 3, max_children: int = 4, intensity: int = 3) -> SearchStrategy[PuppetTree]:
    """A Hypothesis strategy for trees of puppets.

    All strategies and restart types, dynamic supervisors, significant children, backoffs; failing and ignored starts,
    cleanups that fail, children that are stubborn. A puppet that is deaf is not among them: a tree waits for it.

    Needs Hypothesis. Open one with `open_supervisor(tree.spec)` and pull the strings in `tree.puppets`.
    """
    from hypothesis import strategies as st

    ends = [OnStop.SHUTDOWN, OnStop.NORMAL, OnStop.ERROR, OnStop.STUBBORN]

    @st.composite
    def supervisor(draw: Any, path: str, depth: int, puppets: dict[str, Puppet]) -> SupervisorSpec:
        children = []
        auto_shutdown = draw(st.sampled_from([AutoShutdown.NEVER, *AutoShutdown]))
        for n in range(draw(st.integers(0 if depth < max_depth else 1, max_children))):
            id = f"c{n}"
            restart = draw(st.sampled_from(Restart))
            significant = auto_shutdown is not AutoShutdown.NEVER and restart is not Restart.PERMANENT
            start: Any
            if depth > 1 and draw(st.booleans()):
                start = draw(supervisor(f"{path}/{id}", depth - 1, puppets))
            elif draw(st.integers(0, 9)) == 0:
                start = DynamicSupervisorSpec()
            else:
                later = draw(st.lists(st.sampled_from(Start), max_size=3))
                puppet = Puppet([Start.OK, *later], draw(st.sampled_from(ends)))
                puppets[f"{path}/{id}"] = puppet
                start = puppet.run
            shutdown = draw(st.sampled_from([After(1.0), Kill()]))
            children.append(ChildSpec(id, start, restart, shutdown=shutdown, significant=significant))
        return SupervisorSpec(
            strategy=draw(st.sampled_from(Strategy)),
            intensity=draw(st.integers(0, intensity)),
            auto_shutdown=auto_shutdown,
            backoff=draw(st.sampled_from([None, None, Backoff(0.5, 4.0)])),
            children=children,
        )

    @st.composite
    def tree(draw: Any) -> PuppetTree:
        puppets: dict[str, Puppet] = {}
        return PuppetTree(draw(supervisor("root", max_depth, puppets)), puppets)

    return tree()
