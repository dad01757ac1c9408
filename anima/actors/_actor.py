"""The base class of actors: what they declare, what they may do, which hooks they have."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Generic, ParamSpec, TypeVar, get_args, get_origin

import attrs
import trio

from anima_supervisors import ChildSpec, DynamicSupervisorSpec, Exit, StartResult, Supervisor

from ._cell import Cell
from ._declares import Declaration
from ._dispatch import Dispatch, Handler, dispatch_of
from ._errors import BadActor
from ._mailbox import MailboxSpec
from ._messages import Terminated
from ._ref import ActorRef
from ._timers import Timer

if TYPE_CHECKING:
    from ._system import System

M_contra = TypeVar("M_contra", contravariant=True)
M = TypeVar("M")
P = ParamSpec("P")


@attrs.frozen
class Traits:
    """What is found when an actor class is made: its handlers, and which hooks it has."""

    dispatch: Dispatch
    started: bool
    stopping: bool
    crashed: bool


class Actor(Generic[M_contra]):
    """Isolated state that handles one message at a time.

    Subclass it with the messages it takes, `class Greeter(Actor[Greet | Stop])`, and mark a method for each with
    `@receive`. An exception in a handler crashes the actor: it is made anew from its class and arguments, with the
    same address and mailbox. What a handler of a `Request` returns is the reply.

    Inside `__init__` there is no system yet: whatever needs it belongs into `started`.
    """

    #: how many messages its mailbox holds, and what `tell` does when it is full
    mailbox: ClassVar[MailboxSpec] = MailboxSpec()
    #: how often the handling of a message may be begun before it is a dead letter
    attempts: ClassVar[int] = 1
    #: how long, in seconds, an ask waits for its reply unless it says otherwise
    ask_timeout: ClassVar[float] = 5.0
    #: a handler goes on when nobody waits for its reply any more
    detach: ClassVar[bool] = False
    #: the topics it listens to, what it can do: see `anima.hub`
    declares: ClassVar[tuple[Declaration, ...]] = ()
    #: the supervisor of the children that it spawns
    children: ClassVar[DynamicSupervisorSpec] = DynamicSupervisorSpec()

    _traits: ClassVar[Traits] = Traits(Dispatch({}), False, False, False)
    #: the handlers of its present behaviour
    _handlers: dict[type, Handler]
    _place: Cell | None = None
    _own: Supervisor | None = None
    _own_lock: trio.Lock | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._traits = Traits(
            dispatch_of(cls, _declared(cls), sys._getframe(1).f_locals),
            cls.started is not Actor.started,
            cls.stopping is not Actor.stopping,
            cls.crashed is not Actor.crashed,
        )
        cls._handlers = cls._traits.dispatch.handlers
        for declaration in cls.declares:
            declaration.check(cls)

    # Hooks

    async def started(self) -> None:
        """Called when an incarnation starts; raising here is a failed start. The mailbox waits meanwhile."""

    async def stopping(self, reason: Exit) -> None:
        """Called when it is to end, not when it crashes. It is cancelled when its `shutdown` has run out."""

    async def crashed(self, message: object, error: Exception) -> None:
        """Called when it has raised `error` while it handled `message` (None: in a hook), before its restart.

        It has 5 s. What it raises itself is a note on `error`.
        """

    # Who I am, and what I am handling

    @property
    def _cell(self) -> Cell:
        if self._place is None:
            raise RuntimeError(f"{type(self).__qualname__} has no system inside its __init__: use `started`")
        return self._place

    @property
    def system(self) -> System:
        """The system it lives in."""
        return self._cell.system

    @property
    def ref(self) -> ActorRef[M_contra]:
        """Its own address."""
        return self._cell.ref

    @property
    def sender(self) -> ActorRef[Any] | None:
        """The actor that sent the message being handled; None if it came from outside of actors."""
        current = self._cell.current
        return None if current is None or current.sender is None else self.system.ref(current.sender.path)

    @property
    def trace(self) -> str:
        """The id of the chain of messages that the one being handled belongs to: 32 hexadecimal digits."""
        return self._cell.outgoing().id

    @property
    def deadline(self) -> float:
        """Until when, on Trio's clock, what it asks for may take: as long as its asker waits. Infinity for others."""
        return self._cell.deadline

    @property
    def asked_until(self) -> float:
        """Until when, on Trio's clock, somebody waits for what is being handled; infinity where nobody does.

        Unlike `deadline` also where the class finishes what it has taken (`detach`).
        """
        current = self._cell.current
        return math.inf if current is None else current.deadline

    @property
    def attempt(self) -> int:
        """How many times what is being handled was begun, this time included; 0 outside of handlers."""
        return self._cell.attempt

    @property
    def last_attempt(self) -> bool:
        """Whether what is being handled is given up if a crash cuts it off now: see `attempts`."""
        return self._cell.last_attempt

    # What I do

    async def spawn(self, id: str, actor: Callable[P, Actor[M]], /, *args: P.args, **kwargs: P.kwargs) -> ActorRef[M]:
        """Start a child of its own, under its own supervisor (`children`). The child ends with this incarnation.

        Waits until the child is up. Raises what `System.spawn` raises.
        """
        return await self.system.spawn_below(await self._own_supervisor(), id, actor, *args, **kwargs)

    async def start_child(self, child: ChildSpec) -> StartResult:
        """Start any child, an actor or not, under its own supervisor. Raises what `Supervisor.start_child` raises."""
        return await (await self._own_supervisor()).start_child(child)

    async def _own_supervisor(self) -> Supervisor:
        if self._own_lock is None:
            self._own_lock = trio.Lock()
        async with self._own_lock:
            if self._own is None:
                own: Supervisor = await self._cell.handle.supervise(type(self).children)
                self._own = own
            return self._own

    def watch(self, other: ActorRef[Any]) -> None:
        """Be told by a `Terminated`, which it has to accept, when `other` ends for good; at once if it has.

        Restarts of `other` are not told. A watch ends with this incarnation.
        """
        if Terminated not in self._traits.dispatch.handlers:
            raise BadActor(f"{type(self).__qualname__} watches and has no handler for Terminated")
        self.system.watch(self._cell, other)

    def unwatch(self, other: ActorRef[Any]) -> None:
        """Watch it no more. A `Terminated` that is under way still comes."""
        self.system.unwatch(self._cell, other)

    def after(self, seconds: float, message: M_contra) -> Timer:
        """Send itself `message` in so many seconds, unless the timer is cancelled or this incarnation ends before."""
        return self._timer(seconds, None, message)

    def every(self, seconds: float, message: M_contra) -> Timer:
        """Send itself `message` every so many seconds. One that finds the mailbox full is left out."""
        if not seconds > 0:
            raise ValueError(f"every() needs a number of seconds above 0, not {seconds!r}")
        return self._timer(seconds, seconds, message)

    def _timer(self, seconds: float, period: float | None, message: Any) -> Timer:
        return self._cell.tell_later(seconds, period, message)

    def stash(self) -> None:
        """Put the message that is being handled aside; `unstash` brings it back, and so does a restart.

        It counts as not handled yet: whoever asked goes on waiting. Raises `StashFull`.
        """
        self._cell.put_aside()

    def unstash(self) -> None:
        """Handle what was put aside next, in its order, before the mailbox."""
        self._cell.take_stash()

    def take_waiting(self, kind: type[M]) -> list[M]:
        """Take out of its mailbox all waiting messages of a class and its subclasses, in their order, and return them.

        For a handler that takes long and wants to know what has come meanwhile. They count as handled from now on: if
        it crashes, they are not brought back. What was asked stays, since somebody waits for the reply; so does what is
        stashed. All else keeps its order, and whoever waits for room comes in.
        """
        return self._cell.take_waiting(kind)

    def become(self, behaviour: type[Actor[Any]]) -> None:
        """Handle messages by the methods of `behaviour` from the next one on.

        It is a subclass of the actor's class, or that class itself again; a restart begins with the latter.
        """
        if not issubclass(behaviour, self._cell.spec.kind):
            raise BadActor(f"{behaviour.__qualname__} is no subclass of {self._cell.spec.kind.__qualname__}")
        self._handlers = behaviour._traits.dispatch.handlers

    def stop(self, reason: object = None) -> None:
        """End for good when the current message is handled. It is not restarted, whatever its restart type."""
        self._cell.stop_soon(reason)

    def _handler(self, message: object) -> Handler:
        """The handler of a message of a class that its behaviour has not seen yet: a subclass of one that it takes."""
        base = next(base for base in type(message).__mro__ if base in self._handlers)
        return self._handlers[base]


def _declared(cls: type) -> object:
    """The union in `Actor[...]` that a class, or the nearest of its bases, was made with; None if there is none."""
    for base in cls.__mro__:
        for origin in base.__dict__.get("__orig_bases__", ()):
            if get_origin(origin) is Actor and not isinstance(get_args(origin)[0], TypeVar):
                return get_args(origin)[0]
    return None
