"""An address for a plain task: what is sent to it can be received."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import trio

from anima_supervisors import BadSpec, Normal

from ._deadletters import Reason
from ._envelope import News
from ._errors import MailboxClosed, NotAccepted
from ._mailbox import MailboxSpec, MailboxStatistics
from ._messages import Request
from ._place import Receiver
from ._ref import ActorRef

if TYPE_CHECKING:
    from ._system import System

M = TypeVar("M")


class InboxPlace(Receiver):
    """The address of an inbox: a mailbox, and no actor that empties it."""

    __slots__ = ("_kinds",)

    def __init__(self, system: System, path: str, kinds: tuple[type, ...], mailbox: MailboxSpec) -> None:
        super().__init__(system, path, mailbox)
        self._kinds = kinds

    def admit(self, message: object) -> bool:
        if not isinstance(message, self._kinds):
            raise NotAccepted(self.path, type(message), self.names)
        self.accepts[type(message)] = None
        return True

    def would_accept(self, kind: type) -> bool:
        return issubclass(kind, self._kinds)

    @property
    def names(self) -> list[str]:
        return sorted(kind.__name__ for kind in self._kinds)

    def close(self) -> None:
        """Nobody receives any more; what is left is lost. Without effect the second time."""
        if self.ended:
            return
        self.end_place(Normal())
        self.undo_there()
        for envelope in self.mailbox.close():
            if not isinstance(envelope, News):
                self.lost(envelope, Reason.LEFT_OVER)
        self.tell_end()


class Inbox(trio.abc.ReceiveChannel[M], Generic[M]):
    """Receives the messages that are sent to its address: a channel in Trio's sense. Iterate over it, or `receive`."""

    def __init__(self, place: InboxPlace) -> None:
        self._place = place
        self._channel = place.mailbox.receiver()

    @property
    def ref(self) -> ActorRef[M]:
        """Its address, to give away."""
        return self._place.ref

    async def receive(self) -> M:
        """The next message; waits for one, without limit. A checkpoint. Cancelled, it has taken none.

        Raises `trio.ClosedResourceError` when the inbox was closed.
        """
        try:
            message: Any = (await self._channel.receive()).message
        except trio.EndOfChannel:  # its own block has ended
            raise trio.ClosedResourceError from None
        return message  # type: ignore[no-any-return]

    async def aclose(self) -> None:
        """Receive no more: what is left are dead letters. The end of the block does the same."""
        self._place.close()
        await self._channel.aclose()

    def receive_nowait(self) -> M:
        """The next message. Raises `trio.WouldBlock` without one, `trio.ClosedResourceError` when it was closed."""
        try:
            message: Any = self._place.mailbox.get_nowait().message
        except MailboxClosed:
            raise trio.ClosedResourceError from None
        return message  # type: ignore[no-any-return]

    def statistics(self) -> MailboxStatistics:
        return self._place.statistics()


@contextlib.asynccontextmanager
async def inbox_at(
    system: System, path: str, kinds: tuple[type[M], ...], mailbox: MailboxSpec
) -> AsyncIterator[Inbox[M]]:
    """An inbox as long as the block runs."""
    if not kinds or any(issubclass(kind, Request) for kind in kinds):
        raise BadSpec(f"an inbox takes classes of messages, at least one, and answers no requests: not {kinds!r}")
    place = InboxPlace(system, path, kinds, mailbox)
    system.add_place(place)
    try:
        yield Inbox(place)
    finally:
        place.close()
