"""What to supervise, as frozen data. Bad values and bad combinations are refused here, before anything starts."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from types import CodeType, MappingProxyType
from typing import Any

import attrs

from ._errors import BadSpec
from ._policy import AutoShutdown, Backoff, OnError, Restart, Strategy

StartCallable = Callable[..., Awaitable[object]]

#: What a start callable may name as a keyword parameter, and is then given.
GIVEN = frozenset({"stop", "task_status", "beat", "emit", "handle"})


@attrs.frozen
class Kill:
    """Cancel the child at once, without a request. Its cleanup still runs; it is reported as killed."""


@attrs.frozen
class After:
    """Ask the child to stop, cancel it after `seconds`. One that cannot be asked is cancelled at once."""

    seconds: float

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.seconds < math.inf:
            raise BadSpec(f"After(seconds) must be 0 or more, not {self.seconds!r}; to wait for ever use Never()")


@attrs.frozen
class Never:
    """Ask the child to stop and wait for as long as it takes."""


StopPolicy = Kill | After | Never


@attrs.frozen
class SpecFactory:
    """An async callable that makes what to start, anew at each (re)start of the child.

    It returns a `SupervisorSpec`, a `DynamicSupervisorSpec` or a start callable; it may raise `Ignore`, and any other
    exception is a failed start. It runs inside the child's start: the start timeout covers it.
    """

    make: Callable[..., Awaitable[SupervisorSpec | DynamicSupervisorSpec | StartCallable]]
    #: what it makes, for the default of `shutdown` and for `count_children` while the child is down
    supervisor: bool = True


_NO_RULES: Mapping[type[Exception], OnError] = MappingProxyType({})


def _frozen_rules(rules: Mapping[type[Exception], OnError]) -> Mapping[type[Exception], OnError]:
    return MappingProxyType(dict(rules)) if rules else _NO_RULES


def _usual_shutdown(child: ChildSpec) -> StopPolicy:
    return Never() if child.is_supervisor else After(5.0)


@attrs.frozen(eq=False)
class ChildSpec:
    """Describes one child.

    `start` is an async callable without required arguments (bind them with `functools.partial`), a spec of an inner
    supervisor, or a `SpecFactory`. A callable is given those of these that it names as keyword parameters:

    - `task_status`: it is up when it calls `task_status.started(value)`; one that does not name it is up at once
    - `stop`: a `StopRequest`; the child is asked to stop, has `shutdown` to finish, and is cancelled only then
    - `beat`: to be called at least every `heartbeat` seconds
    - `emit`: `emit(EventType, **fields)` sends an event of its own to the tree's hook
    - `handle`: its place in the tree, and a supervisor of its own for those that want one; see `Handle`

    `shutdown` is `Kill()`, `After(seconds)` or `Never()`; by default 5 seconds, for a supervisor never.
    `start_timeout` (seconds) bounds the start. `heartbeat` (seconds): a child that is silent for longer is stopped and
    counts as failed. `on_error` says what an exception type asks for, where that is not what `restart` says.
    `up_again_at_once` is for a child whose start takes a while, or can fail, the first time only: a later attempt
    counts as up as soon as it begins. It calls `task_status.started`, or `handle.started`, all the same: until then it
    may still raise `Ignore`.

    Raises `BadSpec`.
    """

    id: str
    start: Startable
    restart: Restart = Restart.PERMANENT
    # said here, not by a decorator below: else a type checker that does not know attrs well wants it given
    shutdown: StopPolicy = attrs.field(default=attrs.Factory(_usual_shutdown, takes_self=True), kw_only=True)
    significant: bool = attrs.field(default=False, kw_only=True)
    start_timeout: float | None = attrs.field(default=None, kw_only=True)
    heartbeat: float | None = attrs.field(default=None, kw_only=True)
    on_error: Mapping[type[Exception], OnError] = attrs.field(default=_NO_RULES, kw_only=True, converter=_frozen_rules)
    up_again_at_once: bool = attrs.field(default=False, kw_only=True)
    #: it starts a task, not a supervisor or what a factory makes
    runs_a_task: bool = attrs.field(init=False, repr=False)
    #: which of `GIVEN` the start callable names
    takes: frozenset[str] = attrs.field(init=False, repr=False)
    #: a callable that cannot say when it is up is so from the start
    up_at_once: bool = attrs.field(init=False, repr=False)

    @runs_a_task.default
    def _starts_a_task(self) -> bool:
        return not isinstance(self.start, SupervisorSpec | DynamicSupervisorSpec | SpecFactory)

    @up_at_once.default
    def _cannot_say_when(self) -> bool:
        return self.runs_a_task and "task_status" not in self.takes

    @takes.default
    def _named_parameters(self) -> frozenset[str]:
        return given_parameters(self.start) if self.runs_a_task else frozenset()

    @property
    def is_supervisor(self) -> bool:
        if isinstance(self.start, SpecFactory):
            return self.start.supervisor
        return isinstance(self.start, SupervisorSpec | DynamicSupervisorSpec)

    def __attrs_post_init__(self) -> None:
        faults = [*self._faults()]
        if faults:
            raise BadSpec(*(f"child {self.id!r}: {fault}" for fault in faults))

    def _faults(self) -> Iterator[str]:
        if not isinstance(self.id, str) or not self.id.isprintable() or not self.id or "/" in self.id:
            yield "an id is a text that can be printed, is not empty and has no '/'"
        if self.runs_a_task and not callable(self.start):
            yield f"start must be an async callable, a supervisor's spec or a SpecFactory, not {self.start!r}"
        if not isinstance(self.restart, Restart):
            yield f"restart must be a Restart, not {self.restart!r}"
        if not isinstance(self.shutdown, Kill | After | Never):
            yield f"shutdown must be Kill(), After(seconds) or Never(), not {self.shutdown!r}"
        if self.significant and self.restart is Restart.PERMANENT:
            yield "significant goes with transient or temporary: a permanent child never ends for good"
        if self.start_timeout is not None and not 0 < self.start_timeout < math.inf:
            yield f"start_timeout must be a number of seconds above 0 or None, not {self.start_timeout!r}"
        if self.heartbeat is not None:
            if not 0 < self.heartbeat < math.inf:
                yield f"heartbeat must be a number of seconds above 0 or None, not {self.heartbeat!r}"
            if not self.runs_a_task:
                yield "heartbeat is for tasks; a supervisor has none"
            elif "beat" not in self.takes:
                yield "heartbeat needs a start callable with the keyword parameter 'beat'"
        for kind, wish in self.on_error.items():
            if not (isinstance(kind, type) and issubclass(kind, Exception)):
                yield f"on_error keys are exception classes, not {kind!r}"
            if not isinstance(wish, OnError):
                yield f"on_error values are OnError, not {wish!r}"
            if wish is OnError.RESTART and self.restart is Restart.TEMPORARY:
                yield "on_error asks to restart, but a temporary child never is; make it transient"


def given_parameters(start: Any, *, bound: int = 0) -> frozenset[str]:
    """Which of `GIVEN` a callable names as keyword parameters. `**kwargs` names nothing.

    `bound` is how many of its positional parameters have their values already.

    Reads the code object where there is one: `inspect.signature` costs more than starting the child.
    """
    if isinstance(start, functools.partial):
        return given_parameters(start.func, bound=bound + len(start.args)) - start.keywords.keys()
    function = getattr(start, "__func__", start)
    code = getattr(function, "__code__", None)
    if isinstance(code, CodeType) and not hasattr(function, "__wrapped__"):
        return _named_by(code, bound + (function is not start))
    try:
        parameters = list(inspect.signature(start).parameters.values())
    except (TypeError, ValueError):
        return frozenset()
    free = [p for n, p in enumerate(parameters) if n >= bound or p.kind is p.KEYWORD_ONLY]
    return GIVEN.intersection(p.name for p in free if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))


@functools.lru_cache(maxsize=1000)
def _named_by(code: CodeType, bound: int) -> frozenset[str]:
    first = max(code.co_posonlyargcount, min(code.co_argcount, bound))
    return GIVEN.intersection(code.co_varnames[first : code.co_argcount + code.co_kwonlyargcount])


def _limit_faults(intensity: int, period: float, backoff: Backoff | None) -> Iterator[str]:
    if isinstance(intensity, bool) or not isinstance(intensity, int) or intensity < 0:
        yield f"intensity must be a whole number, 0 or more, not {intensity!r}"
    if isinstance(period, bool) or not isinstance(period, int | float) or not 0 < period < math.inf:
        yield f"period must be a number of seconds above 0, not {period!r}"
    if backoff is not None and not isinstance(backoff, Backoff):
        yield f"backoff must be a Backoff or None, not {backoff!r}"


@attrs.frozen(eq=False, kw_only=True)
class SupervisorSpec:
    """Describes a supervisor and its first children, in start order.

    More than `intensity` restarts within `period` seconds and it gives up. `backoff` puts a wait before each
    restart. Raises `BadSpec`.
    """

    strategy: Strategy = Strategy.ONE_FOR_ONE
    intensity: int = 3
    period: float = 5.0
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    backoff: Backoff | None = None
    children: tuple[ChildSpec, ...] = attrs.field(default=(), converter=tuple[ChildSpec, ...])

    def __attrs_post_init__(self) -> None:
        faults = [*self._faults()]
        if faults:
            raise BadSpec(*faults)

    def _faults(self) -> Iterator[str]:
        if not isinstance(self.strategy, Strategy):
            yield f"strategy must be a Strategy, not {self.strategy!r}"
        if not isinstance(self.auto_shutdown, AutoShutdown):
            yield f"auto_shutdown must be an AutoShutdown, not {self.auto_shutdown!r}"
        yield from _limit_faults(self.intensity, self.period, self.backoff)
        seen: set[str] = set()
        for child in self.children:
            try:
                self.check(child)
            except BadSpec as error:
                yield from error.faults
                continue
            if child.id in seen:
                yield f"two children have the id {child.id!r}"
            seen.add(child.id)

    def check(self, child: ChildSpec) -> None:
        """Raise `BadSpec` if `child` cannot be a child of this supervisor."""
        if not isinstance(child, ChildSpec):
            raise BadSpec(f"children are ChildSpecs, not {child!r}")
        if child.significant and self.auto_shutdown is AutoShutdown.NEVER:
            raise BadSpec(f"child {child.id!r}: significant needs a supervisor with auto_shutdown")


@attrs.frozen(eq=False, kw_only=True)
class DynamicSupervisorSpec:
    """Describes a supervisor that has no child at first and takes any number later, each for itself.

    With a `template` every child is started from it with arguments of its own (OTP's simple_one_for_one,
    `start_child(Args(...))`); without one each brings its spec (Elixir's DynamicSupervisor). Children are stopped in
    parallel, each within its own bound, and are forgotten once they are gone. Raises `BadSpec`.
    """

    template: ChildSpec | None = None
    max_children: int | None = None
    intensity: int = 3
    period: float = 5.0
    backoff: Backoff | None = None

    def __attrs_post_init__(self) -> None:
        faults = [*_limit_faults(self.intensity, self.period, self.backoff)]
        if self.max_children is not None and (not isinstance(self.max_children, int) or self.max_children < 0):
            faults.append(f"max_children must be a whole number, 0 or more, or None, not {self.max_children!r}")
        if faults:
            raise BadSpec(*faults)
        if self.template is not None:
            self.check(self.template)

    def check(self, child: ChildSpec) -> None:
        """Raise `BadSpec` if `child` cannot be a child of this supervisor."""
        if not isinstance(child, ChildSpec):
            raise BadSpec(f"children are ChildSpecs, not {child!r}")
        if child.significant:
            raise BadSpec(f"child {child.id!r}: a dynamic supervisor has no auto_shutdown, so significant says nothing")


AnySupervisorSpec = SupervisorSpec | DynamicSupervisorSpec
Startable = StartCallable | SupervisorSpec | DynamicSupervisorSpec | SpecFactory


@attrs.frozen(eq=False, init=False)
class Args:
    """The arguments of one child started from a template. Without an `id` it gets the template's with a number."""

    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    id: str | None

    def __init__(self, *args: object, id: str | None = None, **kwargs: object) -> None:
        self.__attrs_init__(args, kwargs, id)

    def applied_to(self, template: ChildSpec, id: str) -> ChildSpec:
        """The template's spec with these arguments appended to those of its start callable, or of its factory."""
        start: Any = template.start
        if isinstance(start, SpecFactory):
            start = attrs.evolve(start, make=functools.partial(start.make, *self.args, **self.kwargs))
        elif template.runs_a_task:
            start = functools.partial(start, *self.args, **self.kwargs)
        elif self.args or self.kwargs:
            raise BadSpec(f"template {template.id!r} starts a supervisor, which takes no arguments")
        return attrs.evolve(template, id=id, start=start)


def unreachable_limits(spec: AnySupervisorSpec, path: str) -> Iterator[str]:
    """The paths, at and below `path`, of supervisors whose backoff waits so long that they never give up."""
    if spec.backoff is not None and not spec.backoff.reaches(spec.intensity, spec.period):
        yield path
    if isinstance(spec, SupervisorSpec):
        for child in spec.children:
            if isinstance(child.start, SupervisorSpec | DynamicSupervisorSpec):
                yield from unreachable_limits(child.start, f"{path}/{child.id}")
