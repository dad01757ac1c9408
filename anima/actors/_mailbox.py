"""A bounded queue for one actor: `tell` never waits, `put` waits for room, and a crash puts back what was taken.

The two ends are channels in Trio's sense, with the semantics of a memory channel. Order is kept: what is put first is
taken first, and whoever waits for room comes before whoever finds some. Beside the queue runs a reserved lane without a
limit, for the few messages that keep the actor manageable (stop, watch, supervision); it is always taken first.
"""

from __future__ import annotations

import enum
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import attrs
import outcome
import trio
from trio.lowlevel import Abort, Task

from ._errors import MailboxClosed, MailboxFull

T = TypeVar("T")

#: How many messages may be put or taken without a wait before the task yields to others.
YIELD_EVERY = 32


class Overflow(enum.Enum):
    """What `put_nowait` does when there is no room."""

    REJECT = "reject"  #: raise `MailboxFull`
    DROP_OLDEST = "drop_oldest"  #: make room by dropping the message that has waited longest
    DROP_NEWEST = "drop_newest"  #: drop the message that does not fit


@attrs.frozen
class MailboxStatistics:
    """A mailbox at one moment: what is in it, who waits at it, and what it has seen."""

    length: int
    capacity: int
    reserved: int
    tasks_waiting_put: int
    tasks_waiting_get: int
    received: int
    dropped: int


class Mailbox(Generic[T]):
    """A bounded mailbox. `on_drop` is called with each message that is dropped for want of room."""

    def __init__(
        self,
        capacity: int = 1000,
        overflow: Overflow = Overflow.REJECT,
        on_drop: Callable[[T], None] | None = None,
    ) -> None:
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
            raise ValueError(f"capacity must be a whole number, 1 or more, not {capacity!r}")
        self.capacity = capacity
        self.overflow = overflow
        self._on_drop = on_drop
        self._queue: deque[T] = deque()
        self._reserved: deque[T] = deque()
        #: tasks waiting for room, each with its message, in the order in which they came
        self._putting: OrderedDict[Task, T] = OrderedDict()
        self._getting: OrderedDict[Task, None] = OrderedDict()
        self._closed = False
        self._received = 0
        self._dropped = 0
        self._moves = 0

    @property
    def has_room(self) -> bool:
        return self._closed or len(self._queue) < self.capacity

    def __len__(self) -> int:
        return len(self._reserved) + len(self._queue)

    def statistics(self) -> MailboxStatistics:
        return MailboxStatistics(
            length=len(self._queue),
            capacity=self.capacity,
            reserved=len(self._reserved),
            tasks_waiting_put=len(self._putting),
            tasks_waiting_get=len(self._getting),
            received=self._received,
            dropped=self._dropped,
        )

    # Putting

    def put_nowait(self, message: T) -> None:
        """Put a message without waiting. Without room: what `overflow` says. Raises `MailboxFull`, `MailboxClosed`."""
        if self._closed:
            raise MailboxClosed
        if len(self._queue) < self.capacity:
            self._append(message)
        elif self.overflow is Overflow.REJECT:
            raise MailboxFull(self.capacity)
        elif self.overflow is Overflow.DROP_NEWEST:
            self._drop(message)
        else:
            self._drop(self._queue.popleft())
            self._append(message)

    def put_reserved(self, message: T) -> None:
        """Put a message into the reserved lane, which is never full. Raises `MailboxClosed`."""
        if self._closed:
            raise MailboxClosed
        self._reserved.append(message)
        self._wake_getter()

    async def put(self, message: T) -> None:
        """Put a message; wait for room. Cancelled while it waits, it has not put it. Raises `MailboxClosed`.

        With room it yields to other tasks only now and then; `sender()` is for those who need a checkpoint each time.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise MailboxClosed
        if len(self._queue) < self.capacity:
            self._append(message)
            await self._yield_by_budget()
        else:
            await self._wait_for_room(message)

    async def _wait_for_room(self, message: T) -> None:
        task = trio.lowlevel.current_task()
        self._putting[task] = message

        def abort(_: object) -> Abort:
            del self._putting[task]
            return Abort.SUCCEEDED

        accepted: bool = await trio.lowlevel.wait_task_rescheduled(abort)
        if not accepted:
            raise MailboxClosed

    async def _yield_by_budget(self) -> None:
        # Shielded: the message is in its place, and a cancellation now must not say otherwise.
        self._moves += 1
        if self._moves >= YIELD_EVERY:
            self._moves = 0
            await trio.lowlevel.cancel_shielded_checkpoint()

    def _append(self, message: T) -> None:
        self._received += 1
        self._queue.append(message)
        self._wake_getter()

    def _drop(self, message: T) -> None:
        self._dropped += 1
        if self._on_drop is not None:
            self._on_drop(message)

    def _wake_getter(self) -> None:
        if self._getting:
            task, _ = self._getting.popitem(last=False)
            trio.lowlevel.reschedule(task)

    def _let_in(self) -> None:
        """There is room: whoever has waited longest for it goes in."""
        while self._putting and len(self._queue) < self.capacity:
            task, message = self._putting.popitem(last=False)
            self._append(message)
            trio.lowlevel.reschedule(task, outcome.Value(True))

    # Taking

    def get_nowait(self) -> T:
        """Take the next message. Raises `trio.WouldBlock` without one, `MailboxClosed` if there will be none."""
        if self._reserved:
            return self._reserved.popleft()
        if self._queue:
            message = self._queue.popleft()
            self._let_in()
            return message
        if self._closed:
            raise MailboxClosed
        raise trio.WouldBlock

    async def get(self) -> T:
        """Take the next message; wait for one. Cancelled, it has taken none. Raises `MailboxClosed`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not (self._reserved or self._queue):
            await self._wait_for_message()
            return self.get_nowait()
        message = self.get_nowait()
        await self._yield_by_budget()
        return message

    async def get_batch(self, limit: int) -> list[T]:
        """Take what is there, at most `limit` messages, at least one; wait for one. Raises `MailboxClosed`.

        What is not handled is put back with `give_back`.
        """
        batch = [await self.get()]
        while len(batch) < limit and (self._reserved or self._queue):
            batch.append(self.get_nowait())
        return batch

    async def _wait_for_message(self) -> None:
        """Wait until there is a message for this very task, or there will be none."""
        while not (self._reserved or self._queue or self._closed):
            task = trio.lowlevel.current_task()
            self._getting[task] = None

            def abort(_: object, task: Task = task) -> Abort:
                del self._getting[task]
                return Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(abort)

    def give_back(self, messages: Sequence[T]) -> None:
        """Put back messages that were taken and not handled, before all others and in their order.

        They had their room already, so that the mailbox may hold more than its capacity until they are taken again.
        """
        self._queue.extendleft(reversed(messages))
        for _ in messages:
            self._wake_getter()

    # Ending

    def close(self) -> list[T]:
        """Take nothing any more; the messages that are left, for who cares about them.

        Whoever waits, on either side, gets `MailboxClosed`; what a waiting task wanted to put stays with it.
        """
        self._closed = True
        left = [*self._reserved, *self._queue]
        self._reserved.clear()
        self._queue.clear()
        while self._putting:
            task, _ = self._putting.popitem(last=False)
            trio.lowlevel.reschedule(task, outcome.Value(False))
        while self._getting:
            self._wake_getter()
        return left

    # As channels

    def sender(self) -> MailboxSender[T]:
        """An end to send into, each send a checkpoint. Closing it closes that end alone."""
        return MailboxSender(self)

    def receiver(self) -> MailboxReceiver[T]:
        """The end to receive from, each receive a checkpoint. Closing it closes the mailbox; what is left is lost."""
        return MailboxReceiver(self)


class MailboxSender(trio.abc.SendChannel[T]):
    """The sending end of a mailbox. Raises `trio.BrokenResourceError` once the mailbox is closed."""

    def __init__(self, mailbox: Mailbox[T]) -> None:
        self._mailbox = mailbox
        self._closed = False

    async def send(self, value: T) -> None:
        if self._closed:
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            if self._mailbox.has_room:
                self._mailbox.put_nowait(value)
                await trio.lowlevel.cancel_shielded_checkpoint()
            else:
                await self._mailbox.put(value)
        except MailboxClosed:
            raise trio.BrokenResourceError from None

    async def aclose(self) -> None:
        self._closed = True
        await trio.lowlevel.checkpoint()


class MailboxReceiver(trio.abc.ReceiveChannel[T]):
    """The receiving end of a mailbox. Raises `trio.EndOfChannel` once the mailbox is closed."""

    def __init__(self, mailbox: Mailbox[T]) -> None:
        self._mailbox = mailbox
        self._closed = False

    async def receive(self) -> T:
        if self._closed:
            await trio.lowlevel.checkpoint()
            raise trio.ClosedResourceError
        try:
            await trio.lowlevel.checkpoint_if_cancelled()
            if len(self._mailbox):
                value = self._mailbox.get_nowait()
                await trio.lowlevel.cancel_shielded_checkpoint()
                return value
            return await self._mailbox.get()
        except MailboxClosed:
            raise trio.EndOfChannel from None

    async def aclose(self) -> None:
        self._closed = True
        self._mailbox.close()
        await trio.lowlevel.checkpoint()
