"""Where events go: one hook, that can neither hurt nor delay the tree.

A plain hook runs in a thread of its own, fed by a bounded queue, in the order in which things happened. A hook that
is fast, and wants to be called at the very moment or to touch Trio, is passed as `Inline(hook)`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable

import attrs
import trio

from ._events import Event, EventsDropped

EventHook = Callable[[Event], object]

#: How many events may wait for a slow hook before they are dropped, and counted.
QUEUE_LIMIT = 10_000


@attrs.frozen
class Inline:
    """Marks a hook to be called on Trio's loop, as things happen. It must never block: it would block the loop."""

    hook: EventHook


def report(error: BaseException, note: str) -> None:
    """Report an exception of a callback that must not hurt the tree, as Python reports those of threads."""
    error.add_note(note)
    about = (type(error), error, error.__traceback__, threading.current_thread())
    with contextlib.suppress(Exception):  # stderr may be closed; the tree must not care
        threading.excepthook(threading.ExceptHookArgs(about))


class _Guarded:
    """Calls a hook and reports the first exception it raises."""

    def __init__(self, hook: EventHook) -> None:
        self._hook = hook
        self._reported = False

    def __call__(self, event: Event) -> None:
        try:
            self._hook(event)
        except (Exception, SystemExit) as error:  # a hook cannot end the program: a child can
            if not self._reported:
                self._reported = True
                report(error, f"raised by the event hook {self._hook!r}; its further exceptions are not reported")


class InlineDelivery:
    """Gives each event to the hook at once."""

    def __init__(self, hook: EventHook) -> None:
        self.put = _Guarded(hook)

    async def close(self, seconds: float) -> None:
        """Nothing is waiting."""


class ThreadDelivery:
    """Gives events to the hook in a daemon thread, which lives from the first event to `close`."""

    def __init__(self, hook: EventHook) -> None:
        self._hook = _Guarded(hook)
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._dropped = 0
        self._first_dropped: Event | None = None
        self._thread: threading.Thread | None = None

    def put(self, event: Event) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._deliver, name="anima-events", daemon=True)
            self._thread.start()
        # What comes in floods must not push out what comes once.
        if self._queue.qsize() >= (QUEUE_LIMIT // 2 if event.floods else QUEUE_LIMIT):
            self._first_dropped = self._first_dropped or event
            self._dropped += 1
            return
        self._tell_dropped()
        self._queue.put(event)

    def _tell_dropped(self) -> None:
        """An event in the place of those that were dropped, with the number and the time of the first of them."""
        if self._first_dropped is not None:
            common = {field.name: getattr(self._first_dropped, field.name) for field in attrs.fields(Event)}
            self._queue.put(EventsDropped(count=self._dropped, **common))
            self._first_dropped, self._dropped = None, 0

    def _deliver(self) -> None:
        while (event := self._queue.get()) is not None:
            self._hook(event)

    async def close(self, seconds: float) -> None:
        """Wait until the hook has had all events, at most `seconds`. A hook that hangs keeps its daemon thread."""
        if self._thread is None:
            return
        self._tell_dropped()
        self._queue.put(None)
        with trio.CancelScope(shield=True):  # bounded by the join's own timeout
            await trio.to_thread.run_sync(self._thread.join, seconds, limiter=trio.CapacityLimiter(1))


Delivery = InlineDelivery | ThreadDelivery


def delivery_for(hook: EventHook | Inline | None) -> Delivery | None:
    match hook:
        case None:
            return None
        case Inline(inline):
            return InlineDelivery(inline)
        case _:
            return ThreadDelivery(hook)
