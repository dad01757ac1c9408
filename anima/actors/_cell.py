"""The place of one actor: what stays the same from its first incarnation to its end.

The cell has the address, the mailbox and the stash; incarnations come and go inside it (`_loop`). It belongs to the
actor's place in its supervisor: as long as a restart may follow, it takes messages; when the actor is down for good,
what is left becomes dead letters, and whoever watches is told.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from anima_supervisors import Exit, Handle

from ._deadletters import Reason
from ._declares import Declaration
from ._envelope import Envelope, News, Redelivery, StopSignal, Trace
from ._errors import MailboxFull, NotAccepted, StashFull
from ._messages import Stop
from ._place import Receiver
from ._reply import Reply
from ._timers import Timer

if TYPE_CHECKING:
    from ._actor import Actor
    from ._pool import Pool
    from ._spec import ActorSpec
    from ._system import System


def _nothing(_: Exit) -> None: ...


class State(enum.Enum):
    """Where an actor is. `DOWN`: between two incarnations."""

    STARTING = "starting"
    UP = "up"
    DOWN = "down"
    ENDED = "ended"


class Cell(Receiver):
    """An address that messages can be put into. Made by the system, when an actor first starts at a path."""

    __slots__ = (
        "actor",
        "ask_timeout",
        "current",
        "detach",
        "handle",
        "made_for",
        "pool",
        "scope",
        "spec",
        "stash",
        "stashed",
        "state",
        "stop_supervisor",
        "trace_out",
    )

    def __init__(self, system: System, path: str, spec: ActorSpec[Any], pool: Pool | None = None) -> None:
        kind = spec.kind
        super().__init__(system, path, spec.mailbox or kind.mailbox)
        self.spec = spec
        self.pool = pool
        self.accepts = kind._traits.dispatch.handlers
        self.ask_timeout = kind.ask_timeout
        self.detach = kind.detach
        self.state = State.STARTING
        #: those of the present incarnation
        self.actor: Actor[Any] | None = None
        self.handle: Any = None
        #: ends the supervisor it had last, for pools
        self.stop_supervisor: Callable[[Exit], None] = _nothing
        #: the actor that it was made for, until that has begun: see `System.cell_for`
        self.made_for: object = None
        #: what is being handled, and whether its handler has put it aside
        self.current: Envelope | None = None
        self.stashed = False
        self.scope: trio.CancelScope | None = None
        self.stash: deque[Envelope] | None = None
        #: the trace of what it sends while it handles `current`, once it has sent something
        self.trace_out: Trace | None = None

    def __repr__(self) -> str:
        return f"<Cell {self.path} {self.state.value}>"

    # What is sent to it

    def would_accept(self, kind: type) -> bool:
        return self.spec.kind._traits.dispatch.handler(kind) is not None

    @property
    def names(self) -> list[str]:
        return self.spec.kind._traits.dispatch.names

    @property
    def load(self) -> int:
        return len(self.mailbox) + (self.current is not None)

    def admit(self, message: object) -> bool:
        """Look at a message whose class `accepts` does not have. False: it is dealt with. Raises `NotAccepted`."""
        kind = type(message)
        dispatch = self.spec.kind._traits.dispatch
        if dispatch.handler(kind) is not None:
            return True
        if kind is Stop and dispatch.takes_stop:
            if not self.ended:
                self.stop_soon("told to stop")
            return False
        raise NotAccepted(self.path, kind, dispatch.names)

    def stop_soon(self, reason: object = None) -> None:
        """The actor is to end for good when it has finished the message that it handles."""
        self.tell_reserved(StopSignal(reason, True, None))

    def asked_to_stop(self) -> None:
        """The supervisor wants its present incarnation to end."""
        if self.handle is not None:
            self.tell_reserved(StopSignal(None, False, self.handle))

    def tell_later(self, seconds: float, period: float | None, message: object) -> Timer:
        """Have it told `message` by itself, as long as this incarnation lives. Raises `NotAccepted`."""
        told_to_stop = type(message) is Stop and self.spec.kind._traits.dispatch.takes_stop
        if not told_to_stop and not self.would_accept(type(message)):
            raise NotAccepted(self.path, type(message), self.names)
        timer = Timer(self.system.timers, seconds, period, lambda: self._tell_timed(message, period), self.forget)
        self.while_up(timer.cancel)
        return timer

    def _tell_timed(self, message: object, period: float | None) -> None:
        if not self.admit(message):
            return
        envelope = Envelope(message, self, None)
        if self.ended:  # by a handler that is stuck
            if period is None:
                self.lost(envelope, Reason.NO_ACTOR)
            return
        try:
            self.mailbox.put_nowait(envelope)
        except MailboxFull as error:
            if period is None:
                self.lost(envelope, Reason.DROPPED, error)

    @property
    def incarnation(self) -> object:
        return self.handle

    # What it sends

    @property
    def deadline(self) -> float:
        """How long what it asks for now may take: as long as its own asker waits, unless it finishes in any case."""
        return math.inf if self.detach or self.current is None else self.current.deadline

    @property
    def address(self) -> str:
        return self.path if self.pool is None else self.pool.path

    def outgoing(self) -> Trace:
        """The trace of what it sends while it handles the current message; a new one outside of handlers."""
        trace = self.trace_out
        if trace is None:
            current = self.current
            incoming = None if current is None else current.trace
            if incoming is None:
                incoming = self.system.new_trace()
                if current is not None:
                    current.trace = incoming  # so that the handler and what it sends agree about its id
            trace = self.trace_out = incoming.next(self.path)
        return trace

    # Handling

    def idle(self) -> None:
        """The handler has returned."""
        self.current = self.trace_out = None
        self.stashed = False

    def cut_short(self) -> None:
        """The handler was cancelled, since nobody waits for its reply any more. What it has stashed is void too."""
        self.take_out_of_stash()
        self.idle()

    def take_out_of_stash(self) -> None:
        """The current message is not for later after all."""
        if self.stashed:
            assert self.stash is not None
            self.stash.pop()  # it is the last one
            self.stashed = False

    def nobody_waits(self, reply: Reply) -> None:
        """Whoever asked has stopped waiting, so that the handler can stop too, unless it finishes what it has begun."""
        current = self.current
        if not self.detach and current is not None and current.reply is reply and self.scope is not None:
            self.scope.cancel(reason="nobody waits for the reply any more")

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

    def take_waiting(self, kind: type) -> list[Any]:
        """Take the messages of a class out of the mailbox that were told: nobody waits for a reply to them."""
        taken = self.mailbox.take_where(lambda envelope: envelope.reply is None and isinstance(envelope.message, kind))
        return [envelope.message for envelope in taken]

    # Incarnations

    def begin(self, handle: Handle, made: Actor[Any] | None) -> Actor[Any]:
        """A new incarnation begins, with an actor that is made already or now. Raises whatever its class does."""
        self.state = State.STARTING if made is None else State.UP
        self.handle = handle
        handle.on_down(self.end)
        if self.pool is not None:
            self.stop_supervisor = handle.stop_supervisor
        self.take_stash()
        actor = self.actor = made or self.spec.make()
        actor._place = self
        return actor

    def enter(self) -> None:
        """The address has come to life: it is known from now on for what it keeps over restarts."""
        for declaration in self.declared:
            if declaration.survives_restarts:
                self.while_there(declaration.enter(self.ref))

    def up(self) -> None:
        """The incarnation is up: from now on it is known for what it can do."""
        if self.state is State.UP:
            return  # whoever spawned it has said so
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
        self.undo_up()
        if self.ended:  # it was stuck: what its handler has put aside since has nobody to wait for
            stashed, self.stash = self.stash or (), None
            for envelope in stashed:
                self._hand_on(envelope)

    @property
    def _attempts(self) -> int:
        return self.spec.attempts or self.spec.kind.attempts

    @property
    def last_attempt(self) -> bool:
        """Whether the current message is lost if its handling is cut off now."""
        return self.attempt >= self._attempts

    @property
    def attempt(self) -> int:
        """How many times the handling of the current message was begun."""
        return 0 if self.current is None else self.current.attempts + 1

    def unfinished(self, reason: Reason, error: BaseException | None) -> None:
        """The handling of the current message was cut off by the end of its incarnation."""
        envelope = self.current
        self.take_out_of_stash()
        self.idle()
        if envelope is None or isinstance(envelope, News):
            return  # what this incarnation has asked to be told says nothing to the next one
        if envelope.reply is not None:
            envelope.reply.handler = None
            if envelope.reply.over and reason is Reason.INTERRUPTED:
                return  # it was being cut short in any case
        again = Redelivery(envelope)
        if again.attempts < self._attempts and not self.ended:
            self.mailbox.give_back([again])
        else:
            self.lost(again, reason, error)

    def end(self, exit: Exit) -> None:
        """The actor is down for good: what is left is lost, and whoever watches is told."""
        if self.state is State.ENDED:
            return
        self.state = State.ENDED
        self.end_place(exit)
        if self.pool is not None:
            self.pool.leave(self, exit)
        left = self.mailbox.close()
        self.undo_there()
        stashed, self.stash = self.stash or deque(), None
        if self.stashed:  # its handler is stuck, and has still to end
            self.stash = deque([stashed.pop()])
        for envelope in (*stashed, *left):
            if not isinstance(envelope, StopSignal | News):
                self._hand_on(envelope)
        self.tell_end()

    def _hand_on(self, envelope: Envelope) -> None:
        """To another of its pool, if there is one."""
        if self.pool is not None and self.pool.take_over(envelope):
            return
        self.lost(envelope, Reason.LEFT_OVER)
