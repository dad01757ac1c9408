"""The address of an actor: what others hold instead of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import trio

from anima_supervisors import Exit

from ._cell import Cell
from ._envelope import Envelope, Question
from ._errors import ActorError, ActorStopped, MailboxClosed, NotAccepted
from ._mailbox import MailboxStatistics
from ._messages import Request
from ._place import Place, Receiver
from ._reply import Reply
from ._waits import add_wait, waiting_for_room

if TYPE_CHECKING:
    from ._system import System

M_contra = TypeVar("M_contra", contravariant=True)
M_co = TypeVar("M_co", covariant=True)
R_co = TypeVar("R_co", covariant=True)


class AskedOf(Protocol[M_co, R_co]):
    """A request that actors which take `M_co` accept, answered with an `R_co`: see `Request`."""

    def _asked_of(self, ref: ActorRef[M_co], /) -> R_co: ...


class ActorRef(Generic[M_contra]):
    """The address of an actor that takes messages of type `M_contra`.

    It names a path in the tree, so that it survives restarts, and reaches a new actor at the same path as well. Equal
    if the path is. Use it on the loop of its system only.
    """

    __slots__ = ("_target", "path", "system")

    def __init__(self, system: System, path: str, target: Place | None) -> None:
        self.system = system
        #: the ids from the root of the tree to the actor, joined by `/`
        self.path = path
        self._target = target

    def __repr__(self) -> str:
        return f"<ActorRef {self.path}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ActorRef) and self.path == other.path and self.system is other.system

    def __hash__(self) -> int:
        return hash(self.path)

    # Sending

    def tell(self, message: M_contra) -> None:
        """Send a message. Never waits, and is no checkpoint.

        Raises `NotAccepted` for what the actor does not take, `MailboxFull` where its mailbox rejects what does not
        fit, `TooManyHops` at the end of a long chain. To an actor that has ended it is a dead letter.
        """
        target = self._target
        if target is None or target.ended:
            target = self._found()
            if target is None:
                self.system.nobody(self.path, message)
                return
        if message.__class__ not in target.accepts and not target.admit(message):
            return
        system = self.system
        sender = system.here()
        trace = None if sender is None else system.outgoing(sender, self.path, message)
        target.deliver(Envelope(message, sender, trace))

    async def put(self, message: M_contra) -> None:
        """Send a message; wait for room in the mailbox, without limit. Cancelled while it waits, it is not sent.

        Raises `NotAccepted`, `TooManyHops`, `ActorStopped` if the actor has ended or ends meanwhile, and `AskCircle`
        where a handler would wait for an actor that waits for it.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            place = self._place_for(message)
            if place is None:
                await trio.lowlevel.cancel_shielded_checkpoint()
                return
            sender = self.system.here()
            trace = None if sender is None else self.system.outgoing(sender, self.path, message)
            await self._put(place, place.pick(message), Envelope(message, sender, trace), sender)
        except ActorError:
            await trio.lowlevel.cancel_shielded_checkpoint()  # or a loop of attempts would let nobody else run
            raise

    async def ask(self, request: AskedOf[M_contra, R_co], *, timeout: float | None = None) -> R_co:
        """Send a request and wait for its reply, at most `timeout` seconds (by default what the actor's class says).

        Inside of a handler that somebody waits for, it waits no longer than that one does. When the waiting ends, by
        the deadline or by a cancellation, the handler of the request is cancelled, unless its class says `detach`.

        Raises `AskTimeout`, `AskFailed` with the handler's error as its cause, `ActorStopped`, `AskCircle`, whatever
        `Refused` the handler raises, `NotAccepted` (also for what is no request) and `TooManyHops`.
        """
        try:
            place, receiver, question = self._question(request, timeout)
        except ActorError:
            await _let_others_run()
            raise
        reply, asker = question.reply, question.sender
        try:
            try:
                mailbox = receiver.mailbox
                if mailbox.has_room or mailbox.drops:
                    mailbox.put_nowait(question)
                else:
                    await self._put_question(place, receiver, question, reply)
            except BaseException:
                reply.abandon()
                raise
            if reply.over:
                await _let_others_run()  # it was dropped
            else:
                await trio.lowlevel.wait_task_rescheduled(reply.park())
            answer: R_co = reply.result()
            return answer
        finally:
            if asker is not None:
                assert asker.waits_for is not None
                del asker.waits_for[reply]

    def _question(self, request: object, timeout: float | None) -> tuple[Place, Receiver, Question]:
        """What is sent when `request` is asked, and to whom. From now on its asker waits, and its deadline counts."""
        if not isinstance(request, Request):
            raise NotAccepted(self.path, type(request), ["only requests, when it is asked"])
        place = self._place_for(request)
        assert place is not None
        receiver = place.pick(request)
        system = self.system
        asker = system.here()
        deadline = trio.current_time() + (receiver.ask_timeout if timeout is None else timeout)
        reply = Reply(receiver, system.timers, self.path, asker)
        if asker is None:
            trace = None
        else:
            trace = system.outgoing(asker, self.path, request)
            deadline = min(deadline, asker.deadline)
            add_wait(asker, reply)
        system.timers.add(deadline, reply)
        return place, receiver, Question(request, asker, trace, reply, deadline)

    async def _put(self, place: Place, receiver: Receiver, envelope: Envelope, sender: Cell | None) -> None:
        """Wait for room; where a member of a pool ends meanwhile, at another one."""
        while True:
            try:
                if receiver.mailbox.has_room or envelope.reply is not None:
                    await receiver.mailbox.put(envelope)
                else:
                    with waiting_for_room(sender, receiver):
                        await receiver.mailbox.put(envelope)
                return
            except MailboxClosed:
                if place.ended or receiver is place:
                    raise ActorStopped(self.path, f"{self.path} ended while a message waited for room") from None
                receiver = place.pick(envelope.message)
                if envelope.reply is not None:
                    envelope.reply.moved_to(receiver)
                    if envelope.reply.over:
                        return

    async def _put_question(self, place: Place, receiver: Receiver, envelope: Question, reply: Reply) -> None:
        """Wait for room, no longer than for the reply."""
        with trio.CancelScope(deadline=envelope.deadline) as scope:
            try:
                await self._put(place, receiver, envelope, None)
            except ActorStopped as error:
                reply.fail(error)
        if scope.cancelled_caught and not reply.over:
            reply.fire()

    def sender(self) -> RefSender[M_contra]:
        """The sending end of the mailbox as a channel in Trio's sense: each `send` is a `put`, and a checkpoint."""
        return RefSender(self)

    # Where it leads

    def _found(self) -> Place | None:
        """Who lives at the path now."""
        self._target = self.system.at(self.path)
        return self._target

    def _place_for(self, message: object) -> Place | None:
        """Where a message goes; None if it is dealt with already. Raises `ActorStopped`, `NotAccepted`."""
        target = self._target
        if target is None or target.ended:
            target = self.place()
        if message.__class__ in target.accepts or target.admit(message):
            return target
        return None

    def place(self) -> Place:
        """What is behind the address: for the floors above. Raises `ActorStopped` if there is nothing."""
        place = self.place_if_any()
        if place is None:
            raise ActorStopped(self.path, f"there is no actor at {self.path}")
        return place

    def place_if_any(self) -> Place | None:
        """What is behind the address now, if there is anything: for the floors above."""
        target = self._target
        return self._found() if target is None or target.ended else target

    # Looking

    @property
    def ended(self) -> bool:
        """There is no actor at this address now, and none is being restarted."""
        return self.place_if_any() is None

    async def wait_ended(self) -> Exit | None:
        """Wait until there is no actor at this address, and none is being restarted; why it ended.

        None if there was none in the first place. Waits without limit. Cancelled, it has only waited.
        """
        place = self.place_if_any()
        if place is None:
            await trio.lowlevel.checkpoint()
            return None
        return await place.wait_ended()

    def statistics(self) -> MailboxStatistics | None:
        """What is in its mailbox, and what it has seen; of a pool the sum. None if there is no actor."""
        place = self.place_if_any()
        return None if place is None else place.statistics()


class RefSender(trio.abc.SendChannel[M_contra], Generic[M_contra]):
    """The sending end of an actor's mailbox. Closing it closes this end alone; the actor goes on."""

    def __init__(self, ref: ActorRef[M_contra]) -> None:
        self._ref = ref
        self._closed = False

    async def send(self, value: M_contra) -> None:
        """Put a message into the mailbox; wait for room. Cancelled while it waits, it is not sent.

        Raises `trio.ClosedResourceError` when this end was closed, `trio.BrokenResourceError` when the actor has ended,
        and what `ActorRef.put` raises besides.
        """
        if self._closed:
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError
        try:
            await self._ref.put(value)
        except ActorStopped as error:
            raise trio.BrokenResourceError from error
        await trio.lowlevel.cancel_shielded_checkpoint()  # it is sent: a cancellation must not say otherwise

    async def aclose(self) -> None:
        self._closed = True
        await trio.lowlevel.checkpoint()


async def _let_others_run() -> None:
    """A checkpoint before an error is raised, or a loop of attempts would hold up all others and could not be ended.

    A cancellation that comes while others run is for the next checkpoint: the error says what became of the request.
    """
    await trio.lowlevel.checkpoint_if_cancelled()
    await trio.lowlevel.cancel_shielded_checkpoint()
