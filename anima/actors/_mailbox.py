"""A bounded queue for one actor: `tell` never waits, `put` waits for room, and a crash puts back what was taken.

The two ends are channels in Trio's sense, with the semantics of a memory channel. Order is kept: what is put first is
taken first, and whoever waits for room comes before whoever finds some. Beside the queue runs a reserved lane without a
limit, for the few messages that keep the actor manageable (stop, watch, supervision); it is always taken first.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import attrs
import outcome
import trio
from trio.lowlevel import Abort, Task

from anima_supervisors import BadSpec

from ._errors import MailboxClosed, MailboxFull

T = TypeVar("T")

#: The queue of a mailbox that has had no message yet: a deque takes more memory than all else in it.
EMPTY: deque[Any] = deque(maxlen=0)
#: How many messages may be put or taken without a wait before the task yields to others.
YIELD_EVERY = 32


class Overflow(enum.Enum):
    """What `put_nowait` does when there is no room."""

    REJECT = "reject"  #: raise `MailboxFull`
    DROP_OLDEST = "drop_oldest"  #: make room by dropping the message that has waited longest
    DROP_NEWEST = "drop_newest"  #: drop the message that does not fit


@attrs.frozen
class MailboxSpec:
    """How many messages a mailbox holds, and what `tell` does when it is full. Raises `BadSpec`."""

    capacity: int = 1000
    overflow: Overflow = Overflow.REJECT

    def __attrs_post_init__(self) -> None:
        if isinstance(self.capacity, bool) or not isinstance(self.capacity, int) or self.capacity < 1:
            raise BadSpec(f"a mailbox's capacity must be a whole number, 1 or more, not {self.capacity!r}")
        if not isinstance(self.overflow, Overflow):
            raise BadSpec(f"a mailbox's overflow must be an Overflow, not {self.overflow!r}")


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
    """A bounded mailbox. `on_drop` is called with each message that is dropped for want of room.

    `owner` is the path of its actor, for errors.
    """

    __slots__ = (
        "_closed",
        "_dropped",
        "_getting",
        "_moves",
        "_on_drop",
        "_received",
        "_room",
        "_waiter",
        "capacity",
        "overflow",
        "owner",
        "putting",
        "queue",
        "reserved",
    )

    def __init__(
        self,
        capacity: int = 1000,
        overflow: Overflow = Overflow.REJECT,
        on_drop: Callable[[T], None] | None = None,
        owner: str | None = None,
    ) -> None:
        if isinstance(capacity, bool) or not isinstance(capacity, int) or capacity < 1:
            raise ValueError(f"capacity must be a whole number, 1 or more, not {capacity!r}")
        self.capacity = capacity
        self.overflow = overflow
        self.owner = owner
        self._on_drop = on_drop
        #: the messages, and those of the reserved lane (made when there is the first one): for `take` in long
        self.queue: deque[T] = EMPTY
        self.reserved: deque[T] | None = None
        #: tasks waiting for room, each with its message, in the order in which they came
        self.putting: dict[Task, T] | None = None
        #: the task that waits for a message, and those that wait behind it
        self._waiter: Task | None = None
        self._getting: dict[Task, None] | None = None
        self._room = capacity  # 0 when closed
        self._closed = False
        self._received = 0
        self._dropped = 0
        self._moves = 0

    @property
    def has_room(self) -> bool:
        return self._closed or len(self.queue) < self.capacity

    @property
    def drops(self) -> bool:
        """What does not fit is dropped, so that nobody waits for room."""
        return self.overflow is not Overflow.REJECT

    def __len__(self) -> int:
        return len(self.queue) + (len(self.reserved) if self.reserved else 0)

    def statistics(self) -> MailboxStatistics:
        return MailboxStatistics(
            length=len(self.queue),
            capacity=self.capacity,
            reserved=len(self.reserved or ()),
            tasks_waiting_put=len(self.putting or ()),
            tasks_waiting_get=len(self._getting or ()) + (self._waiter is not None),
            received=self._received,
            dropped=self._dropped,
        )

    # Putting

    def put_nowait(self, message: T) -> None:
        """Put a message without waiting. Without room: what `overflow` says. Raises `MailboxFull`, `MailboxClosed`."""
        if len(self.queue) < self._room:
            self._received += 1
            if self.queue is EMPTY:
                self.queue = deque()
            self.queue.append(message)
            if self._waiter is not None:
                self._wake_waiter()
        else:
            self._overflows(message)

    def _overflows(self, message: T) -> None:
        if self._closed:
            raise MailboxClosed
        if self.overflow is Overflow.REJECT:
            raise MailboxFull(self.capacity, self.owner)
        if self.overflow is Overflow.DROP_NEWEST:
            self._drop(message)
        else:
            self._drop(self.queue.popleft())
            self._append(message)

    def put_reserved(self, message: T) -> None:
        """Put a message into the reserved lane, which is never full. Raises `MailboxClosed`."""
        if self._closed:
            raise MailboxClosed
        if self.reserved is None:
            self.reserved = deque()
        self.reserved.append(message)
        if self._waiter is not None:
            self._wake_waiter()

    async def put(self, message: T) -> None:
        """Put a message; wait for room. Cancelled while it waits, it has not put it. Raises `MailboxClosed`.

        With room it yields to other tasks only now and then; `sender()` is for those who need a checkpoint each time.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._closed:
            raise MailboxClosed
        if len(self.queue) < self.capacity:
            self._append(message)
            await self._yield_by_budget()
        else:
            await self._wait_for_room(message)

    async def _wait_for_room(self, message: T) -> None:
        task = trio.lowlevel.current_task()
        if self.putting is None:
            self.putting = {}
        putting = self.putting
        putting[task] = message

        def abort(_: object) -> Abort:
            del putting[task]
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
        if self.queue is EMPTY:
            self.queue = deque()
        self.queue.append(message)
        if self._waiter is not None:
            self._wake_waiter()

    def _drop(self, message: T) -> None:
        self._dropped += 1
        if self._on_drop is not None:
            self._on_drop(message)

    def _wake_waiter(self) -> None:
        """Wake the task that has waited longest for a message; the next one moves up."""
        assert self._waiter is not None
        trio.lowlevel.reschedule(self._waiter)
        self._waiter = None
        if self._getting:
            self._waiter = next(iter(self._getting))
            del self._getting[self._waiter]

    def let_in(self) -> None:
        """There is room: whoever has waited longest for it goes in."""
        while self.putting and len(self.queue) < self.capacity:
            task = next(iter(self.putting))
            self._append(self.putting.pop(task))
            trio.lowlevel.reschedule(task, outcome.Value(True))

    # Taking

    def get_nowait(self) -> T:
        """Take the next message. Raises `trio.WouldBlock` without one, `MailboxClosed` if there will be none."""
        message = self.take()
        if message is not None:
            return message
        if self._closed:
            raise MailboxClosed
        raise trio.WouldBlock

    def take(self) -> T | None:
        """Take the next message; None without one."""
        if self.reserved:
            return self.reserved.popleft()
        if self.queue:
            message = self.queue.popleft()
            if self.putting:
                self.let_in()
            return message
        return None

    def take_where(self, wanted: Callable[[T], bool]) -> list[T]:
        """Take those of the waiting messages that are wanted; the others keep their order. Not the reserved lane."""
        taken: list[T] = []
        others: list[T] = []
        for message in self.queue:
            (taken if wanted(message) else others).append(message)
        if taken:
            self.queue.clear()
            self.queue.extend(others)
            self.let_in()
        return taken

    async def get(self) -> T:
        """Take the next message; wait for one. Cancelled, it has taken none. Raises `MailboxClosed`."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not (self.reserved or self.queue):
            while not (self.reserved or self.queue or self._closed):
                await self.wait()
            return self.get_nowait()
        message = self.get_nowait()
        await self._yield_by_budget()
        return message

    async def get_batch(self, limit: int) -> list[T]:
        """Take what is there, at most `limit` messages, at least one; wait for one. Raises `MailboxClosed`.

        What is not handled is put back with `give_back`.
        """
        batch = [await self.get()]
        while len(batch) < limit and (self.reserved or self.queue):
            batch.append(self.get_nowait())
        return batch

    async def wait(self) -> None:
        """Wait until there may be a message, or the mailbox is closed: look, and wait again.

        Call it when there is none. Cancelled, it has only waited.
        """
        if self._waiter is None:
            await trio.lowlevel.wait_task_rescheduled(self.park())
        else:
            await self._wait_behind(trio.lowlevel.current_task())

    def park(self) -> Callable[[object], Abort]:
        """The current task waits, as the only one. What it returns is to be given to `wait_task_rescheduled`."""
        self._waiter = trio.lowlevel.current_task()
        return self._abort_waiter

    def _abort_waiter(self, _: object) -> Abort:
        self._waiter = None
        if self._getting:
            self._waiter = next(iter(self._getting))
            del self._getting[self._waiter]
        return Abort.SUCCEEDED

    async def _wait_behind(self, task: Task) -> None:
        if self._getting is None:
            self._getting = {}
        getting = self._getting
        getting[task] = None

        def abort(_: object) -> Abort:
            if self._waiter is task:  # it has moved up
                return self._abort_waiter(_)
            del getting[task]
            return Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def give_back(self, messages: Sequence[T]) -> None:
        """Put back messages that were taken and not handled, before all others and in their order.

        They had their room already, so that the mailbox may hold more than its capacity until they are taken again.
        """
        if self.queue is EMPTY:
            self.queue = deque()
        self.queue.extendleft(reversed(messages))
        for _ in messages:
            if self._waiter is not None:
                self._wake_waiter()

    # Ending

    def close(self) -> list[T]:
        """Take nothing any more; the messages that are left, for who cares about them.

        Whoever waits, on either side, gets `MailboxClosed`; what a waiting task wanted to put stays with it.
        """
        self._closed = True
        self._room = 0
        left = [*(self.reserved or ()), *self.queue]
        self.reserved = None
        self.queue = EMPTY
        for task in self.putting or ():
            trio.lowlevel.reschedule(task, outcome.Value(False))
        self.putting = None
        while self._waiter is not None:
            self._wake_waiter()
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
