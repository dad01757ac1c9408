"""Tasks under a supervisor: run one and get its result as a value, or map over a stream with a bound."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

import attrs
import trio

from ._errors import SupervisorError
from ._exits import Exit

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


class _Slot(Generic[T]):
    """The place of one item's outcome, or of the error that ends the stream there."""

    def __init__(self) -> None:
        self.filled = trio.Event()
        self.outcome: Success[T] | Failure | None = None
        self.error: BaseException | None = None


class MappedStream(Generic[T]):
    """The outcomes of a mapped stream, in the order of its items. An asynchronous iterator, for one task."""

    def __init__(self, slots: trio.MemoryReceiveChannel[_Slot[T]]) -> None:
        self._slots = slots
        self._current: _Slot[T] | None = None

    def __aiter__(self) -> MappedStream[T]:
        return self

    async def __anext__(self) -> Success[T] | Failure:
        """The next outcome; waits for it. Cancelled, it is not lost: the next call returns it.

        Raises what the source raised, at its place, and `SupervisorError` where a task could not be started.
        """
        if self._current is None:
            try:
                self._current = await self._slots.receive()
            except trio.EndOfChannel:
                raise StopAsyncIteration from None
        await self._current.filled.wait()
        slot, self._current = self._current, None
        if slot.error is not None:
            raise slot.error
        assert slot.outcome is not None
        return slot.outcome


class Mapping(Generic[I, T]):
    """Feeds the items of a stream to tasks, at most `limit` at a time; `run` runs one under its supervisor."""

    def __init__(
        self,
        run: Callable[[I], Awaitable[Success[T] | Failure]],
        items: AsyncIterable[I] | Iterable[I],
        limit: int,
    ) -> None:
        if limit < 1:
            raise ValueError(f"limit must be 1 or more, not {limit!r}")
        self._run_task = run
        self._items = items
        self._slots, receive = trio.open_memory_channel[_Slot[T]](limit)
        self._free = trio.CapacityLimiter(limit)
        self.stream = MappedStream(receive)

    async def feed(self) -> None:
        """Take items and start tasks until the source ends. What it raises stands in a last slot."""
        async with trio.open_nursery() as nursery, self._slots:
            try:
                async with contextlib.aclosing(_iterate(self._items)) as items:
                    async for item in items:
                        slot = _Slot[T]()
                        await self._free.acquire_on_behalf_of(slot)
                        nursery.start_soon(self._run, item, slot)
                        await self._slots.send(slot)
            except Exception as error:
                slot = _Slot[T]()
                self._fill(slot, error)
                await self._slots.send(slot)

    async def _run(self, item: I, slot: _Slot[T]) -> None:
        try:
            slot.outcome = await self._run_task(item)
            self._fill(slot, None)
        except SupervisorError as error:
            self._fill(slot, error)
        finally:
            self._free.release_on_behalf_of(slot)

    def _fill(self, slot: _Slot[T], error: BaseException | None) -> None:
        slot.error = error
        slot.filled.set()


async def _iterate(items: AsyncIterable[Any] | Iterable[Any]) -> AsyncGenerator[Any, None]:
    if isinstance(items, AsyncIterable):
        iterator = items.__aiter__()
        try:
            async for item in iterator:
                yield item
        finally:
            if hasattr(iterator, "aclose"):
                with trio.CancelScope(shield=True, deadline=trio.current_time() + 5):
                    await iterator.aclose()
    else:
        for item in items:
            yield item
