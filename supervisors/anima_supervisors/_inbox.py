"""The inbox: exits, retries and calls in one queue, taken by one loop (rules D5 and H4)."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import Any

import trio
from trio.lowlevel import Abort, Task

#: The loop yields to other tasks after this many messages taken without a wait.
YIELD_EVERY = 32


class Parking:
    """A place where one task waits until it is woken. Being woken early is allowed: the task checks and waits again.

    `on_abort` is called at the very moment in which the wait is cancelled, before any other task runs.
    """

    __slots__ = ("_on_abort", "_task")

    def __init__(self, on_abort: Callable[[], None] | None = None) -> None:
        self._task: Task | None = None
        self._on_abort = on_abort

    @property
    def occupied(self) -> bool:
        """A task waits here, and has not been woken or cancelled."""
        return self._task is not None

    async def wait(self) -> None:
        """Wait for `wake`. Cancelled, it leaves nothing behind."""
        self._task = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._aborted)

    def _aborted(self, _: object) -> Abort:
        self._task = None
        if self._on_abort is not None:
            self._on_abort()
        return Abort.SUCCEEDED

    def wake(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task)


class Inbox:
    """A queue without a limit: `post` never waits, never fails and may be called from anywhere on the loop."""

    __slots__ = ("_holds", "_messages", "_parking", "_taken")

    def __init__(self) -> None:
        self._messages: deque[Any] = deque()
        self._parking = Parking()
        self._holds = 0
        self._taken = 0

    @property
    def idle(self) -> bool:
        """There is no message, and the loop waits for one: what were posted now would be taken next."""
        return not self._messages and not self._holds and self._parking.occupied

    def nudge(self) -> None:
        """Have the loop look around, although there is no message."""
        self.post(None)

    def post(self, message: object) -> None:
        self._messages.append(message)
        if not self._holds:
            self._parking.wake()

    async def get(self) -> Any:
        """The next message. Waits for one; with many there it yields every `YIELD_EVERY` messages."""
        while self._holds or not self._messages:
            self._taken = 0
            await self._parking.wait()
        self._taken += 1
        if self._taken >= YIELD_EVERY:
            self._taken = 0
            await trio.lowlevel.checkpoint()
        return self._messages.popleft()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is taken from the inbox inside this block (OTP's `sys:suspend`): for tests."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if not self._holds and self._messages:
                self._parking.wake()


class Call:
    """A management call: waits in the inbox until the supervisor takes it, and then for the answer.

    `work` runs in the supervisor's loop. `on_abandon` is set by work that ends when nobody waits for it any more.
    """

    __slots__ = ("_error", "_parking", "_result", "abandoned", "done", "on_abandon", "task", "work")

    def __init__(self, work: Callable[[Call], Awaitable[Any]], task: Task) -> None:
        self.work = work
        self.task = task
        self.abandoned = False
        self.done = False
        self.on_abandon: Callable[[], None] | None = None
        self._parking = Parking(self._abandon)
        self._result: Any = None
        self._error: Exception | None = None

    async def answer(self) -> Any:
        """Wait for the answer. Cancelled before the call was taken: it will have no effect."""
        while not self.done:
            await self._parking.wait()
        return self.result()

    def result(self) -> Any:
        """What was answered; raises what was failed with."""
        if self._error is not None:
            raise self._error
        return self._result

    def _abandon(self) -> None:
        # Not in a `finally` of `answer`: between the cancellation and that the loop could answer a call whose caller
        # is gone (test_management.py, "in the same moment").
        self.abandoned = True
        if self.on_abandon is not None:
            self.on_abandon()

    async def execute(self) -> None:
        """Do the work, in the supervisor's loop. Its `Exception` is the caller's; a cancellation is the loop's."""
        try:
            self.complete(await self.work(self))
        except Exception as error:
            self.fail(error)

    def complete(self, result: object) -> None:
        if not self.done:
            self.done = True
            self._result = result
            self._parking.wake()

    def fail(self, error: Exception) -> None:
        if not self.done:
            self.done = True
            self._error = error
            self._parking.wake()


def run_now(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that is known not to wait to its end, without a task of its own."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise AssertionError(f"{work!r} was not to wait")
