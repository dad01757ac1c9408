"""Tasks under a supervisor: run one and get its result as a value, or map over a stream with a bound."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs
import trio

from ._exits import Exit

if TYPE_CHECKING:
    from ._supervisor import Supervisor

T = TypeVar("T")
I = TypeVar("I")


@attrs.frozen
class Success(Generic[T]):
    """The task returned `value`."""

    value: T


@attrs.frozen
class Failure:
    """The task did not return: it raised, or was stopped with its supervisor."""

    exit: Exit


class Running(Generic[T]):
    """A task under way, and the slot in which its outcome is delivered."""

    def __init__(self, function: Callable[..., Awaitable[T]], args: tuple[object, ...]) -> None:
        self._function = function
        self._args = args
        self._success: Success[T] | None = None
        self.ended = trio.Event()

    async def run(self) -> None:
        try:
            self._success = Success(await self._function(*self._args))
        finally:
            self.ended.set()  # there is no checkpoint from here to the incarnation's end

    def outcome(self, exit: Exit) -> Success[T] | Failure:
        """What to deliver once the task has ended with `exit`: its value counts, whatever came after it."""
        return self._success if self._success is not None else Failure(exit)


class MappedStream(Generic[T]):
    """The outcomes of a mapped stream, in the order of its items. An asynchronous iterator, for one task."""

    def __init__(self, outcomes: trio.MemoryReceiveChannel[_Slot[T]]) -> None:
        self._outcomes = outcomes

    def __aiter__(self) -> MappedStream[T]:
        return self

    async def __anext__(self) -> Success[T] | Failure:
        """The next outcome; waits for it. Cancelled, it is not lost: the next call returns it."""
        slot = await self._next_slot()
        await slot.filled.wait()
        self._current = None
        assert slot.outcome is not None
        return slot.outcome

    _current: _Slot[T] | None = None

    async def _next_slot(self) -> _Slot[T]:
        if self._current is None:
            try:
                self._current = await self._outcomes.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        return self._current


class _Slot(Generic[T]):
    def __init__(self) -> None:
        self.filled = trio.Event()
        self.outcome: Success[T] | Failure | None = None


class Mapping(Generic[I, T]):
    """Feeds the items of a stream to tasks under a supervisor, at most `limit` unfinished or untaken at a time."""

    def __init__(
        self,
        supervisor: Supervisor,
        function: Callable[[I], Awaitable[T]],
        items: AsyncIterable[I] | Iterable[I],
        limit: int,
    ) -> None:
        if limit < 1:
            raise ValueError(f"limit must be 1 or more, not {limit!r}")
        self._supervisor = supervisor
        self._function = function
        self._items = items
        # A slot waits in the channel, or is with the feeder, or with the reader: two of `limit` are outside.
        self._slots, receive = trio.open_memory_channel[_Slot[T]](max(0, limit - 1))
        self._free = trio.CapacityLimiter(limit)
        self.stream = MappedStream(receive)

    async def feed(self) -> None:
        async with trio.open_nursery() as nursery, self._slots:
            async for item in _iterate(self._items):
                slot = _Slot[T]()
                await self._free.acquire_on_behalf_of(slot)
                nursery.start_soon(self._run, item, slot)
                await self._slots.send(slot)

    async def _run(self, item: I, slot: _Slot[T]) -> None:
        slot.outcome = await self._supervisor.run_task(self._function, item)
        self._free.release_on_behalf_of(slot)
        slot.filled.set()


async def _iterate(items: AsyncIterable[Any] | Iterable[Any]) -> Any:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
