"""The system: one tree of actors, and what they share."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any, ParamSpec, TypeVar, cast, overload

import trio
from trio.lowlevel import Task

from anima_supervisors import (
    AnySupervisorSpec,
    ChildNotFound,
    ChildStartFailed,
    DynamicSupervisorSpec,
    Event,
    EventHook,
    Handle,
    Ignore,
    Inline,
    Shutdown,
    Supervisor,
    beside,
    open_supervisor,
)

from ._actor import Actor
from ._cell import Cell
from ._deadletters import DeadLetters, Reason
from ._envelope import Envelope, Trace
from ._errors import ActorStopped, BadActor, TooManyHops
from ._inbox import Inbox, InboxPlace, inbox_at
from ._mailbox import MailboxSpec
from ._messages import Terminated
from ._place import Place, Receiver
from ._pool import Pool
from ._ref import ActorRef
from ._spec import ActorSpec, PoolSpec
from ._timers import Timers

M = TypeVar("M")
N = TypeVar("N")
O = TypeVar("O")
E = TypeVar("E")
P = ParamSpec("P")


class System:
    """A tree of actors. Made by `open_system`; belongs to one Trio loop, and is used on it only."""

    def __init__(self, name: str, random: Random, max_hops: int, kept_letters: int) -> None:
        #: the path of the root
        self.name = name
        self.random = random
        self.max_hops = max_hops
        self.timers = Timers()
        self.dead_letters = DeadLetters(kept_letters, self.emit, lambda path, message: self.ref(path).tell(message))
        self._supervisor: Supervisor | None = None
        self._emit: Callable[..., None] | None = None
        self._places: dict[str, Place] = {}
        #: the tasks in which actors handle messages: for `here`
        self.loops: dict[Task, Cell] = {}
        self._extensions: dict[type, Any] = {}
        self._trace_prefix = f"{random.getrandbits(64):016x}"
        self._traces = 0
        self._inboxes = 0

    def __repr__(self) -> str:
        return f"<System {self.name}: {len(self._places)} addresses>"

    @property
    def supervisor(self) -> Supervisor:
        """The root of the tree. Not there yet while its first children start."""
        if self._supervisor is None:
            raise RuntimeError(f"{self.name} is still starting its first children")
        return self._supervisor

    # Actors

    @overload
    async def spawn(self, spec: ActorSpec[M] | PoolSpec[M], /) -> ActorRef[M]: ...
    @overload
    async def spawn(
        self, id: str, actor: Callable[P, Actor[M]], /, *args: P.args, **kwargs: P.kwargs
    ) -> ActorRef[M]: ...
    async def spawn(self, id: Any, actor: Any = None, /, *args: Any, **kwargs: Any) -> ActorRef[Any]:
        """Start an actor under the root, and wait until it is up: `spawn("greeter", Greeter, manners="hi")`.

        Or start what an `ActorSpec` or a `PoolSpec` describes. Raises `BadSpec`, `ChildAlreadyStarted`,
        `ChildAlreadyPresent`, and `ChildStartFailed` with what its `__init__` or its `started` raised as the cause.
        Cancelled during the start, the start is cancelled.
        """
        return await self.spawn_below(self.supervisor, id, actor, *args, **kwargs)

    async def spawn_below(
        self, supervisor: Supervisor, id: Any, actor: Any = None, /, *args: Any, **kwargs: Any
    ) -> ActorRef[Any]:
        """As `spawn`, under another supervisor of the same tree."""
        if isinstance(id, ActorSpec | PoolSpec):
            spec = id
        else:
            spec = ActorSpec(id, functools.partial(actor, *args, **kwargs) if args or kwargs else actor)
        path = f"{supervisor.path}/{spec.id}"
        if isinstance(spec, ActorSpec) and not spec.kind._traits.started and path not in self._places:
            return await self._spawn_at_once(supervisor, path, spec)
        await supervisor.start_child(spec.child())
        return self.ref(path)

    async def _spawn_at_once(self, supervisor: Supervisor, path: str, spec: ActorSpec[Any]) -> ActorRef[Any]:
        """Start an actor that is up as soon as it is made. It is made here, so that nothing has to be waited for."""
        try:
            actor = spec.make()
        except Ignore:
            await trio.lowlevel.checkpoint()
            return ActorRef(self, path, None)
        except Exception as error:
            await trio.lowlevel.checkpoint()  # or a loop of attempts would let nobody else run
            raise ChildStartFailed(path, error) from error
        cell = Cell(self, path, spec)
        cell.made_for = actor
        self._places[path] = cell
        try:
            cell.enter()
            cell.up()
            await supervisor.start_child(spec._child(None, actor))
        except BaseException:
            cell.end(Shutdown("its start was refused"))
            raise
        return cell.ref

    @overload
    def ref(self, path: str) -> ActorRef[Any]: ...
    @overload
    def ref(self, path: str, kind: type[Actor[M]]) -> ActorRef[M]: ...
    def ref(self, path: str, kind: Any = None) -> ActorRef[Any]:
        """The address at `path`, whether there is an actor now or not. `kind` is for type checkers."""
        place = self._places.get(path)
        return ActorRef(self, path, None) if place is None else place.ref

    async def stop(self, ref: ActorRef[Any]) -> None:
        """Stop an actor, or a pool, by its supervisor, and wait until it is gone.

        It finishes the message it handles, within its `shutdown`. Raises `ActorStopped` if there is none, `ChildStuck`.
        """
        parent, _, id = ref.path.rpartition("/")
        if ref.ended:
            await trio.lowlevel.checkpoint()
            raise ActorStopped(ref.path, f"there is no actor at {ref.path}")
        try:
            await self.find(parent).terminate_child(id)
        except ChildNotFound:
            raise ActorStopped(ref.path, f"{ref.path} has ended already") from None

    async def resize(self, ref: ActorRef[Any], replicas: int) -> None:
        """Give a pool another number of members; those that are too many stop, and leave their messages to others.

        A restart of the pool's supervisor keeps the number, one further up in the tree does not. Raises `ActorStopped`
        if there is no such pool, and what starting and stopping children raises.
        """
        pool = self._places.get(ref.path)
        if not isinstance(pool, Pool):
            await trio.lowlevel.checkpoint()
            raise ActorStopped(ref.path, f"there is no pool at {ref.path}")
        await pool.resize(self.find(ref.path), self.find(ref.path.rpartition("/")[0]), replicas)

    def find(self, path: str) -> Supervisor:
        """The supervisor at `path`, which begins with the root's. Raises `ChildNotFound`."""
        root, _, rest = path.partition("/")
        if root != self.name:
            raise ChildNotFound(path)
        return self.supervisor.find(rest)

    def actors(self) -> tuple[ActorRef[Any], ...]:
        """The addresses of all actors and pools that there are now."""
        return tuple(place.ref for place in self._places.values())

    @overload
    def open_inbox(
        self, kind: type[M], /, *, name: str | None = None, mailbox: MailboxSpec = MailboxSpec()
    ) -> contextlib.AbstractAsyncContextManager[Inbox[M]]: ...
    @overload
    def open_inbox(
        self, kind: type[M], other: type[N], /, *, name: str | None = None, mailbox: MailboxSpec = MailboxSpec()
    ) -> contextlib.AbstractAsyncContextManager[Inbox[M | N]]: ...
    @overload
    def open_inbox(
        self,
        kind: type[M],
        other: type[N],
        third: type[O],
        /,
        *,
        name: str | None = None,
        mailbox: MailboxSpec = MailboxSpec(),
    ) -> contextlib.AbstractAsyncContextManager[Inbox[M | N | O]]: ...
    @overload
    def open_inbox(
        self,
        kind: type,
        other: type,
        third: type,
        fourth: type,
        /,
        *more: type,
        name: str | None = None,
        mailbox: MailboxSpec = MailboxSpec(),
    ) -> contextlib.AbstractAsyncContextManager[Inbox[Any]]: ...
    def open_inbox(
        self, *kinds: type, name: str | None = None, mailbox: MailboxSpec = MailboxSpec()
    ) -> contextlib.AbstractAsyncContextManager[Inbox[Any]]:
        """An address for a plain task: `async with system.open_inbox(Story) as inbox`, then `await inbox.receive()`.

        It takes messages of these classes, and no requests. Without a name it gets one. What is left at the end of the
        block are dead letters. Raises `BadActor` if the name is taken.
        """
        return inbox_at(self, f"{self.name}/{name or self._inbox_name()}", kinds, mailbox)

    def _inbox_name(self) -> str:
        while True:
            self._inboxes += 1
            name = f"inbox-{self._inboxes}"
            if f"{self.name}/{name}" not in self._places:
                return name

    # Watching

    def watch(self, watcher: Receiver, ref: ActorRef[Any]) -> None:
        """Tell `watcher` when the actor at `ref` ends for good; at once if there is none."""
        place = self._places.get(ref.path)
        if place is None:
            watcher.tell_news(Terminated(ref, Shutdown("no such actor")))
        else:
            place.watched_by(watcher)

    def unwatch(self, watcher: Receiver, ref: ActorRef[Any]) -> None:
        """Tell it no more."""
        place = self._places.get(ref.path)
        if place is not None:
            place.unwatched_by(watcher)

    # What stands on top

    def extension(self, kind: Callable[[System], E]) -> E:
        """The one `kind(system)` of this system, made when it is first asked for: how the hub is found."""
        key = cast(type, kind)
        if key not in self._extensions:
            self._extensions[key] = kind(self)
        return cast(E, self._extensions[key])

    def emit(self, kind: type[Event], path: str, **fields: object) -> None:
        """Send an event about `path` to the tree's hook."""
        if self._emit is not None:
            self._emit(kind, path, **fields)

    # For the other parts of this floor

    def make_ref(self, path: str, place: Place) -> ActorRef[Any]:
        return ActorRef(self, path, place)

    def at(self, path: str) -> Place | None:
        """Who lives at a path."""
        return self._places.get(path)

    def here(self) -> Cell | None:
        """The actor whose mailbox is held up by what the current task does.

        Its loop runs in this task, or waits for it: in a nursery that one of its handlers has open.
        """
        loops = self.loops
        task = trio.lowlevel.current_task()
        cell = loops.get(task)
        while cell is None:
            nursery = task.parent_nursery
            if nursery is None:
                return None
            task = nursery.parent_task
            cell = loops.get(task)
        return cell

    def cell_for(self, handle: Handle, spec: ActorSpec[Any], pool_spec: PoolSpec[Any] | None, made: object) -> Cell:
        """The cell of a starting actor: the one that is there since an earlier incarnation, or a new one."""
        path = handle.path
        if self._emit is None:
            self._emit = handle.emit_about
        place = self._places.get(path)
        if isinstance(place, Cell) and place.made_for not in (None, made):
            # Another spawn of this name has made it, and was refused: it has not had its turn yet to take it back.
            place.end(Shutdown("its start was refused"))
            place = None
        if isinstance(place, Cell):
            place.made_for = None
            return place
        if place is not None:
            raise BadActor(f"{path} is the address of another already: {place!r}")
        pool = None if pool_spec is None else self._pool(path.rpartition("/")[0], pool_spec)
        cell = Cell(self, path, spec, pool)
        self._places[path] = cell
        if pool is not None:
            pool.join(cell)
        try:
            cell.enter()
        except BaseException:
            cell.end(Shutdown("what it declares was refused"))
            raise
        return cell

    def _pool(self, path: str, spec: PoolSpec[Any]) -> Pool:
        pool = self._places.get(path)
        if pool is None:
            pool = self._places[path] = Pool(self, path, spec)
        if not isinstance(pool, Pool):
            raise BadActor(f"{path} is the address of another already: {pool!r}")
        return pool

    def add_place(self, place: InboxPlace) -> None:
        """An address that has no actor behind it."""
        if place.path in self._places:
            raise BadActor(f"{place.path} is the address of another already")
        self._places[place.path] = place

    def forget(self, place: Place) -> None:
        """Nobody lives there any more."""
        if self._places.get(place.path) is place:
            del self._places[place.path]

    def nobody(self, path: str, message: object) -> None:
        """A message for an address where nobody lives."""
        sender = self.here()
        trace = None if sender is None else sender.outgoing()
        self.dead_letters.add(Envelope(message, sender, trace), path, Reason.NO_ACTOR)

    def outgoing(self, sender: Cell, path: str, message: object) -> Trace:
        """The trace of a message that an actor sends to `path`. Raises `TooManyHops`: it is a dead letter."""
        trace = sender.outgoing()
        if trace.hops > self.max_hops:
            self.dead_letters.add(Envelope(message, sender, trace), path, Reason.TOO_MANY_HOPS)
            raise TooManyHops(path, trace.hops, trace.path)
        return trace

    def new_trace(self) -> Trace:
        """The trace of a message that begins a chain."""
        self._traces += 1
        return Trace(f"{self._trace_prefix}{self._traces:016x}", 1, (), None)


@contextlib.asynccontextmanager
async def open_system(
    spec: AnySupervisorSpec = DynamicSupervisorSpec(),
    *,
    name: str = "home",
    on_event: EventHook | Inline | None = None,
    grace: float = 5.0,
    random: Random | None = None,
    watchdog: float | None = None,
    max_hops: int = 64,
    kept_letters: int = 1000,
) -> AsyncIterator[System]:
    """Start a tree of actors, run the block with its system, and stop the tree in order at the end of the block.

    `spec` is the root: by default a supervisor without children, under which `System.spawn` starts them. Actors in a
    tree of your own are `ActorSpec(...).child()`. `name` is the root's path; a message that was caused by more than
    `max_hops` others in a row dies; the last `kept_letters` dead letters are kept.

    All else, also what it raises, is as for `anima_supervisors.open_supervisor`.
    """
    random = random or Random()
    system = System(name, random, max_hops, kept_letters)
    async with (
        beside(system.timers.run),
        open_supervisor(
            spec, name=name, on_event=on_event, grace=grace, random=random, watchdog=watchdog, shared=system
        ) as supervisor,
    ):
        system._supervisor = supervisor
        system._emit = supervisor.emit_about
        yield system
