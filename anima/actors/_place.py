"""What is common to all that has an address: who watches it, and how its end is told."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from anima_supervisors import Exit, describe

from ._deadletters import Reason
from ._envelope import Envelope, News
from ._errors import ActorStopped, AskFailed, AskTimeout, MailboxDropped
from ._mailbox import Mailbox, MailboxSpec, MailboxStatistics
from ._messages import Terminated
from ._reply import Reply
from ._waits import Wait

if TYPE_CHECKING:
    from ._ref import ActorRef
    from ._system import System


class Place(abc.ABC):
    """An address of a system, from when it comes to life until it ends for good."""

    __slots__ = (
        "_exit",
        "_over",
        "_undo_there",
        "_undo_up",
        "_watchers",
        "accepts",
        "ended",
        "path",
        "ref",
        "system",
    )

    def __init__(self, system: System, path: str) -> None:
        self.system = system
        self.path = path
        self.ref: ActorRef[Any] = system.make_ref(path, self)
        #: the handlers by class of message: what is refused at the sender
        self.accepts: dict[type, Any] = {}
        self.ended = False
        self._exit: Exit | None = None
        self._over: trio.Event | None = None
        self._watchers: dict[Receiver, Callable[[], None]] | None = None
        self._undo_up: dict[Callable[[], None], None] | None = None
        self._undo_there: dict[Callable[[], None], None] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}>"

    @abc.abstractmethod
    def admit(self, message: object) -> bool:
        """Look at a message whose class `accepts` does not have. False: it is dealt with. Raises `NotAccepted`."""

    @abc.abstractmethod
    def would_accept(self, kind: type) -> bool:
        """Whether messages of this class are accepted."""

    @property
    @abc.abstractmethod
    def names(self) -> list[str]:
        """The names of the classes of messages that are accepted."""

    @property
    @abc.abstractmethod
    def load(self) -> int:
        """How many messages are before it, with the one that is being handled."""

    @abc.abstractmethod
    def deliver(self, envelope: Envelope) -> None:
        """Put an envelope into the mailbox without waiting. Raises `MailboxFull`, and `MailboxClosed` once it ended."""

    @abc.abstractmethod
    def pick(self, message: object) -> Receiver:
        """Who is to take a message that is for this address."""

    @abc.abstractmethod
    def statistics(self) -> MailboxStatistics:
        """Those of its mailbox, or the sums over several."""

    # What is known of it

    def while_up(self, undo: Callable[[], None]) -> None:
        """Call `undo` when the present incarnation ends, before its supervisor hears of it. It must not raise."""
        self._undo_up = {} if self._undo_up is None else self._undo_up
        self._undo_up[undo] = None

    def while_there(self, undo: Callable[[], None]) -> None:
        """Call `undo` when there is nobody at this address any more. It must not raise."""
        self._undo_there = {} if self._undo_there is None else self._undo_there
        self._undo_there[undo] = None

    def forget(self, undo: Callable[[], None]) -> None:
        """`undo` is not to be called any more: it was done."""
        for undos in (self._undo_up, self._undo_there):
            if undos is not None:
                undos.pop(undo, None)

    def undo_up(self) -> None:
        """The incarnation has ended."""
        undos, self._undo_up = self._undo_up, None
        for undo in reversed(list(undos or ())):
            undo()

    def undo_there(self) -> None:
        """The address has come to its end."""
        self.undo_up()
        undos, self._undo_there = self._undo_there, None
        for undo in reversed(list(undos or ())):
            undo()

    # Messages that nobody handles

    @property
    def address(self) -> str:
        """Where messages for it are sent: of a member of a pool, the pool's."""
        return self.path

    def dropped(self, envelope: Envelope) -> None:
        """There is no room for this, or it had to make room for another."""
        self.lost(envelope, Reason.DROPPED, MailboxDropped(self.path))

    def lost(self, envelope: Envelope, reason: Reason, error: BaseException | None = None) -> None:
        """Nobody will handle this: it is a dead letter, and whoever waits for the answer is told why."""
        self.system.dead_letters.add(envelope, self.address, reason, error)
        if envelope.reply is not None:
            if error is None:
                failure: Exception = ActorStopped(envelope.reply.path, f"{self.path} was stopped before it answered")
            else:
                failure = AskFailed(
                    envelope.reply.path, f"{self.path} did not answer: {reason.value}: {describe(error)}"
                )
                failure.__cause__ = error
            envelope.reply.fail(failure)

    # Its end

    def watched_by(self, watcher: Receiver) -> None:
        """Tell `watcher`, in its present incarnation, of the end."""
        self._watchers = {} if self._watchers is None else self._watchers
        if watcher not in self._watchers:
            undo = functools.partial(self.unwatched_by, watcher)
            self._watchers[watcher] = undo
            watcher.while_up(undo)

    def unwatched_by(self, watcher: Receiver) -> None:
        undo = None if self._watchers is None else self._watchers.pop(watcher, None)
        if undo is not None:
            watcher.forget(undo)

    async def wait_ended(self) -> Exit | None:
        """Wait for the end; its reason. Cancelled, it has only waited."""
        if self._over is None:
            self._over = trio.Event()
        await self._over.wait()
        return self._exit

    def end_place(self, exit: Exit) -> None:
        """There is nobody at this address any more."""
        self.ended = True
        self._exit = exit
        self.system.forget(self)

    def tell_end(self) -> None:
        """Tell whoever wants to know it."""
        assert self._exit is not None
        watchers, self._watchers = self._watchers or {}, None
        for watcher, undo in watchers.items():
            watcher.forget(undo)
            watcher.tell_news(Terminated(self.ref, self._exit))
        if self._over is not None:
            self._over.set()


class Receiver(Place):
    """An address with a mailbox of its own."""

    __slots__ = ("mailbox", "waits_for")

    #: how long an ask waits for the reply unless it says otherwise, in seconds
    ask_timeout: float = 5.0

    def __init__(self, system: System, path: str, mailbox: MailboxSpec) -> None:
        super().__init__(system, path)
        self.mailbox: Mailbox[Envelope] = Mailbox(mailbox.capacity, mailbox.overflow, self.dropped, path)
        #: its waits for others: see `_waits`
        self.waits_for: dict[Wait, None] | None = None

    def deliver(self, envelope: Envelope) -> None:
        self.mailbox.put_nowait(envelope)

    def tell_reserved(self, envelope: Envelope) -> None:
        """Put something before all that is in the mailbox, however full it is."""
        if not self.ended:
            self.mailbox.put_reserved(envelope)

    def tell_news(self, message: object) -> None:
        """Tell its present incarnation something that it has asked to be told; before all that is in the mailbox."""
        self.tell_reserved(News(message, self.incarnation))

    @property
    def incarnation(self) -> object:
        """What is another one after each restart; None between two."""
        return None

    def pick(self, message: object) -> Receiver:
        return self

    @property
    def load(self) -> int:
        return len(self.mailbox)

    def statistics(self) -> MailboxStatistics:
        return self.mailbox.statistics()

    def late(self, reply: Reply) -> AskTimeout:
        """The error of an ask whose deadline has come."""
        if reply.handler is not None:
            where = "it was being handled"
        else:
            where = f"it was still in the mailbox, which holds {len(self.mailbox)}"
        return AskTimeout(reply.path, f"{self.path} did not answer in time: {where}")
