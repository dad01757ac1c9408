"""SIGINT and SIGTERM: the first asks, the second leaves.

Plain signal handlers, because Trio's own need the loop: these work while a task blocks it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import trio

#: The exit status of a run that was interrupted twice.
INTERRUPTED = 130
#: After the second signal the program leaves within so many seconds, whatever hangs.
LEAVE_SECONDS = 0.7


class Interrupts:
    """Counts the signals. `on_first` and `on_second` are called on Trio's loop, as soon as that turns."""

    def __init__(self, on_first: Callable[[], None], on_second: Callable[[], None]) -> None:
        self._on_first = on_first
        self._on_second = on_second
        self._token: trio.lowlevel.TrioToken | None = None
        self.count = 0

    @contextlib.contextmanager
    def caught(self) -> Iterator[None]:
        """Catch both signals inside this block, in Trio's thread."""
        self._token = trio.lowlevel.current_trio_token()
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 2:
            # Ends with us: our ends of the reapers' pipes, and so every process group.
            threading.Thread(target=self._leave, daemon=True).start()
        if self.count <= 2 and self._token is not None:
            self._token.run_sync_soon(self._on_first if self.count == 1 else self._on_second)

    def _leave(self) -> None:
        threading.Event().wait(LEAVE_SECONDS)
        os._exit(INTERRUPTED)
