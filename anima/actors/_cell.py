"""The place of one actor: what stays the same from its first incarnation to its end.

The cell has the address, the mailbox and the stash; incarnations come and go inside it (`_loop`). It belongs to the
actor's place in its supervisor: as long as a restart may follow, it takes messages; when the actor is down for good,
what is left becomes dead letters, and whoever watches is told.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from anima_supervisors import Exit, Handle

from ._deadletters import Reason
from ._envelope import Envelope, Redelivery, StopSignal, Trace
from ._errors import ActorStopped, AskFailed, AskTimeout, MailboxFull, NotAccepted, StashFull
from ._mailbox import Mailbox, MailboxStatistics
from ._messages import Stop, Terminated
from ._timers import Timer

if TYPE_CHECKING:
    from ._actor import Actor
    from ._declares import Declaration
    from ._pool import Pool
    from ._ref import ActorRef
    from ._reply import Reply
    from ._spec import ActorSpec
    from ._system import System


class State(enum.Enum):
    """Where an actor is. `DOWN`: between two incarnations."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"
    ENDED = "ended"


class Cell:
    """An address that messages can be put into. Made by the system, when an actor first starts at a path."""

    __slots__ = (
        "_end",
        "_exit",
        "_outgoing",
        "accepts",
        "actor",
        "ask_timeout",
        "current",
        "detach",
        "ended",
        "handle",
        "mailbox",
        "path",
        "pool",
        "ref",
        "scope",
        "spec",
        "stash",
        "stashed",
        "state",
        "system",
        "waits_for",
        "watchers",
    )

    def __init__(self, system: System, path: str, spec: ActorSpec[Any], pool: Pool | None = None) -> None:
        kind = spec.kind
        mailbox = spec.mailbox or kind.mailbox
        self.system = system
        self.path = path
        self.spec = spec
        self.pool = pool
        self.mailbox: Mailbox[Envelope] = Mailbox(mailbox.capacity, mailbox.overflow, self._dropped, path)
        self.ended = False
        #: the handlers by class of message, of the class as it was made: what is refused at the sender
        self.accepts = kind._traits.dispatch.handlers
        self.ask_timeout = kind.ask_timeout
        self.detach = kind.detach
        self.state = State.STARTING
        #: those of the present incarnation
        self.actor: Actor[Any] | None = None
        self.handle: Any = None
        #: what is being handled, and whether its handler has put it aside
        self.current: Envelope | None = None
        self.stashed = False
        self.scope: trio.CancelScope | None = None
        self.stash: deque[Envelope] | None = None
        self.waits_for: dict[Cell, int] | None = None
        self.watchers: dict[Cell, None] | None = None
        self.ref: ActorRef[Any] = system.make_ref(path, self)
        self._outgoing: Trace | None = None
        self._exit: dict[Callable[[], None], None] | None = None
        self._end: dict[Callable[[], None], None] | None = None

    def __repr__(self) -> str:
        return f"<Cell {self.path} {self.state.value}>"

    def pick(self, message: object) -> Cell:
        """Who takes a message that is for this address: see `Pool.pick`."""
        return self

    def statistics(self) -> MailboxStatistics:
        return self.mailbox.statistics()

    # What is sent to it

    def admit(self, message: object) -> bool:
        """Look at a message whose class `accepts` does not have. False: it is dealt with. Raises `NotAccepted`."""
        kind = type(message)
        dispatch = self.spec.kind._traits.dispatch
        if dispatch.handler(kind) is not None:
            return True
        if kind is Stop and dispatch.takes_stop:
            if not self.ended:
                self.stop_soon("told to stop", final=True)
            return False
        raise NotAccepted(self.path, message, dispatch.names)

    def deliver(self, envelope: Envelope) -> None:
        """Put an envelope into the mailbox without waiting. Raises `MailboxFull`; closed, it is a dead letter."""
        if self.ended:
            self.system.dead_letters.add(envelope, self.path, Reason.NO_ACTOR)
            return
        self.mailbox.put_nowait(envelope)

    def tell_reserved(self, envelope: Envelope) -> None:
        """Put something before all that is in the mailbox, however full it is."""
        if self.state is not State.ENDED:
            self.mailbox.put_reserved(envelope)

    def stop_soon(self, reason: object = None, *, final: bool, incarnation: object = None) -> None:
        """The actor is to end when it has finished the message that it handles; or only that incarnation of it."""
        self.tell_reserved(StopSignal(reason, final, incarnation))

    def _dropped(self, envelope: Envelope) -> None:
        self.lost(envelope, Reason.DROPPED, MailboxFull(self.mailbox.capacity, self.path))

    def lost(self, envelope: Envelope, reason: Reason, error: BaseException | None = None) -> None:
        """Nobody will handle this: it is a dead letter, and whoever waits for the answer is told why."""
        self.system.dead_letters.add(envelope, self.path, reason, error)
        if envelope.reply is not None:
            if error is None:
                failure: Exception = ActorStopped(self.path, f"{self.path} ended before it answered")
            else:
                failure = AskFailed(self.path, f"{self.path} did not answer: {reason.value}: {error}")
                failure.__cause__ = error
            envelope.reply.fail(failure)

    def tell_later(self, seconds: float, period: float | None, message: object) -> Timer:
        """Have it told `message` by itself, as long as this incarnation lives."""
        timer = Timer(self.system.timers, seconds, period, lambda timer: self._tell_timed(timer, message, period))
        self.while_up(timer.cancel)
        return timer

    def _tell_timed(self, timer: Timer, message: object, period: float | None) -> None:
        if period is None:
            self.forget(timer.cancel)
        envelope = Envelope(message, self, None)
        try:
            self.mailbox.put_nowait(envelope)
        except MailboxFull as error:
            if period is None:
                self.lost(envelope, Reason.DROPPED, error)

    # What it sends

    def outgoing(self) -> Trace:
        """The trace of what it sends while it handles the current message; a new one outside of handlers."""
        trace = self._outgoing
        if trace is None:
            current = self.current
            incoming = None if current is None else current.trace
            if incoming is None:
                incoming = self.system.new_trace()
                if current is not None:
                    current.trace = incoming  # so that the handler and what it sends agree about its id
            trace = self._outgoing = incoming.next(self.path)
        return trace

    # Handling

    def begin(self, envelope: Envelope) -> None:
        """A handler is about to be called."""
        self.current = envelope
        self._outgoing = None

    def idle(self) -> None:
        """The handler has returned."""
        self.current = self._outgoing = None
        self.stashed = False

    def cut_short(self) -> None:
        """The handler was cancelled, since nobody waits for its reply any more. What it has stashed is void too."""
        if self.stashed:
            assert self.stash is not None
            self.stash.pop()
            self.stashed = False
        self.idle()

    def nobody_waits(self, reply: Reply) -> None:
        """Whoever asked has stopped waiting, so that the handler can stop too, unless it finishes what it has begun."""
        current = self.current
        if not self.detach and current is not None and current.reply is reply and self.scope is not None:
            self.scope.cancel(reason="nobody waits for the reply any more")

    def late(self, reply: Reply) -> AskTimeout:
        """The error of an ask whose deadline has come."""
        if reply.handler is not None:
            where = "it was being handled"
        else:
            where = f"it was still in the mailbox, which holds {len(self.mailbox)}"
        return AskTimeout(self.path, f"{self.path} did not answer in time: {where}")

    def put_aside(self) -> None:
        """Keep the current message for later, in the stash. Raises `StashFull`."""
        current = self.current
        if current is None or self.stashed:
            raise RuntimeError("stash() is for a message that is being handled, once")
        self.stash = deque() if self.stash is None else self.stash
        if len(self.stash) >= self.mailbox.capacity:
            raise StashFull(self.path, self.mailbox.capacity)
        self.stash.append(current)
        self.stashed = True

    def take_stash(self) -> None:
        """What was put aside comes next, in its order; the message that is being handled stays."""
        if self.stash:
            stash, self.stash = self.stash, None
            if self.stashed:
                self.stash = deque([stash.pop()])
            self.mailbox.give_back(list(stash))

    # Incarnations

    def while_up(self, undo: Callable[[], None]) -> None:
        """Call `undo` when this incarnation ends, before its supervisor hears of it. It must not raise."""
        self._exit = {} if self._exit is None else self._exit
        self._exit[undo] = None

    def while_there(self, undo: Callable[[], None]) -> None:
        """Call `undo` when the actor ends for good. It must not raise."""
        self._end = {} if self._end is None else self._end
        self._end[undo] = None

    def forget(self, undo: Callable[[], None]) -> None:
        """`undo` is not to be called any more: it was done."""
        for undos in (self._exit, self._end):
            if undos is not None:
                undos.pop(undo, None)

    def make_actor(self, handle: Handle) -> Actor[Any]:
        """A new incarnation begins. Raises whatever its class does."""
        self.state = State.STARTING
        self.handle = handle
        handle.on_down(self.end)
        self.take_stash()
        actor = self.actor = self.spec.make()
        actor._place = self
        return actor

    def enter(self) -> None:
        """The address has come to life: it is known from now on for what it keeps over restarts."""
        for declaration in self.declared:
            if declaration.survives_restarts:
                self.while_there(declaration.enter(self.ref))

    def up(self) -> None:
        """The incarnation is up: from now on it is known for what it can do."""
        self.state = State.UP
        for declaration in self.declared:
            if not declaration.survives_restarts:
                self.while_up(declaration.enter(self.ref))

    @property
    def declared(self) -> tuple[Declaration, ...]:
        return (*self.spec.kind.declares, *self.spec.declares)

    def incarnation_ended(self) -> None:
        """The incarnation is gone; what was known of it vanishes before its restart begins."""
        self.actor = self.handle = self.scope = None
        if self.state is not State.ENDED:
            self.state = State.DOWN
        _undo_all(self, "_exit")

    def unfinished(self, reason: Reason, error: BaseException | None) -> None:
        """The handling of the current message was cut off by the end of its incarnation."""
        envelope = self.current
        self.idle()
        if envelope is None:
            return
        if self.stashed:
            self.stashed = False
            assert self.stash is not None
            self.stash.pop()  # it is the last one
        if envelope.reply is not None:
            envelope.reply.handler = None
            if envelope.reply.over and reason is Reason.INTERRUPTED:
                return  # it was being cut short in any case
        again = Redelivery(envelope)
        attempts = self.spec.attempts or self.spec.kind.attempts
        if again.attempts < attempts and self.state is not State.ENDED:
            self.mailbox.give_back([again])
        else:
            self.lost(again, reason, error or InterruptedError(f"{self.path} was cancelled"))

    def end(self, exit: Exit) -> None:
        """The actor is down for good: what is left is lost, and whoever watches is told."""
        if self.state is State.ENDED:
            return
        self.state = State.ENDED
        self.ended = True
        self.system.forget(self)
        if self.pool is not None:
            self.pool.leave(self, exit)
        left = self.mailbox.close()
        _undo_all(self, "_end")
        stashed, self.stash = self.stash or (), None
        for envelope in (*stashed, *left):
            if not isinstance(envelope, StopSignal) and not isinstance(envelope.message, Terminated):
                self._hand_on(envelope)
        watchers, self.watchers = self.watchers or {}, None
        for watcher in watchers:
            watcher.tell_reserved(Envelope(Terminated(self.ref, exit), None, None))

    def _hand_on(self, envelope: Envelope) -> None:
        """To another of its pool, if there is one."""
        if self.pool is not None and self.pool.take_over(envelope):
            return
        self.lost(envelope, Reason.LEFT_OVER)


def _undo_all(cell: Cell, slot: str) -> None:
    undos = getattr(cell, slot)
    setattr(cell, slot, None)
    for undo in reversed(list(undos or ())):
        undo()
