"""What an actor is made of, as frozen data: its class and arguments, its mailbox, its place in the tree."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import attrs

from anima_supervisors import BadSpec, ChildSpec, OnError, Restart, StopPolicy, SupervisorSpec

from ._actor import Actor
from ._declares import Declaration
from ._loop import ActorStart
from ._mailbox import MailboxSpec
from ._pool import RoundRobin, Route

M = TypeVar("M")


def class_of(make: Any) -> type[Actor[Any]]:
    """The actor class behind a class or a partial of one. Raises `BadSpec`."""
    kind = make
    while isinstance(kind, functools.partial):
        kind = kind.func
    if not (isinstance(kind, type) and issubclass(kind, Actor)):
        raise BadSpec(f"an actor is made by a subclass of Actor, or by a functools.partial of one, not by {make!r}")
    return kind


def _whole(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


@attrs.frozen(eq=False)
class ActorSpec(Generic[M]):
    """Describes one actor: `make` is its class, or a `functools.partial` of it with the arguments.

    What is None here is what the class says. `attempts`: how often the handling of a message may be begun before it is
    a dead letter. `declares` comes on top of what the class declares. All else is as for a `ChildSpec`, which `child()`
    makes of it, for a place in a tree of your own. Raises `BadSpec`.
    """

    id: str
    make: Callable[[], Actor[M]]
    restart: Restart = Restart.PERMANENT
    shutdown: StopPolicy | None = attrs.field(default=None, kw_only=True)
    significant: bool = attrs.field(default=False, kw_only=True)
    start_timeout: float | None = attrs.field(default=None, kw_only=True)
    on_error: Mapping[type[Exception], OnError] = attrs.field(default=MappingProxyType({}), kw_only=True)
    mailbox: MailboxSpec | None = attrs.field(default=None, kw_only=True)
    attempts: int | None = attrs.field(default=None, kw_only=True)
    declares: tuple[Declaration, ...] = attrs.field(default=(), converter=tuple[Declaration, ...], kw_only=True)
    #: the class that `make` makes an actor of
    kind: type[Actor[Any]] = attrs.field(init=False, repr=False)

    @kind.default
    def _class_made(self) -> type[Actor[Any]]:
        return class_of(self.make)

    def __attrs_post_init__(self) -> None:
        if self.attempts is not None and not (_whole(self.attempts) and self.attempts > 0):
            raise BadSpec(f"actor {self.id!r}: attempts must be a whole number, 1 or more, not {self.attempts!r}")
        for declaration in self.declares:
            declaration.check(self.kind)

    def child(self) -> ChildSpec:
        """The spec of a child that is this actor."""
        return self._child(None)

    def _child(self, pool: PoolSpec[M] | None, first: Actor[M] | None = None) -> ChildSpec:
        more: dict[str, Any] = {} if self.shutdown is None else {"shutdown": self.shutdown}
        if self.on_error:
            more["on_error"] = self.on_error
        start = ActorStart(self, pool, first)
        return ChildSpec(
            self.id,
            start.run if first is None else start.run_at_once,
            self.restart,
            significant=self.significant,
            start_timeout=self.start_timeout,
            up_again_at_once=not self.kind._traits.started,
            **more,
        )


@attrs.frozen(eq=False)
class PoolSpec(Generic[M]):
    """Describes `replicas` identical actors behind one address: messages go to one of them as `route` says.

    `actor` describes each of them; the id of the pool is its id, theirs are 1, 2, 3 and so on. They have a supervisor
    of their own, with `intensity` and `period`. Raises `BadSpec`.
    """

    actor: ActorSpec[M]
    replicas: int
    route: Route = RoundRobin()
    intensity: int = attrs.field(default=3, kw_only=True)
    period: float = attrs.field(default=5.0, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not (_whole(self.replicas) and self.replicas > 0):
            raise BadSpec(f"pool {self.id!r}: replicas must be a whole number, 1 or more, not {self.replicas!r}")

    @property
    def id(self) -> str:
        return self.actor.id

    def child(self) -> ChildSpec:
        """The spec of a child that is this pool."""
        members = self.members(self.replicas)
        return ChildSpec(self.id, SupervisorSpec(intensity=self.intensity, period=self.period, children=members))

    def members(self, replicas: int) -> tuple[ChildSpec, ...]:
        """The specs of so many members."""
        return tuple(self.member(number) for number in range(1, replicas + 1))

    def member(self, number: int) -> ChildSpec:
        """The spec of one member."""
        return attrs.evolve(self.actor, id=str(number))._child(self)
