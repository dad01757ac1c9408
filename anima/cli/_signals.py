"""SIGINT, SIGTERM and SIGHUP: the first asks, the second leaves.

The signals are seen by a thread, through Python's wake-up descriptor: handlers run in the main thread alone, and not
while a task holds it in one long call. Blocking the signals for a waiting thread instead would not do: every program
that a task starts would inherit the mask.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable

import trio

#: The exit status of a run that was interrupted, and of one that was told to go while it could be gone on with.
INTERRUPTED, PARKED = 130, 143
#: After the second signal the program leaves within so many seconds, whatever hangs.
LEAVE_SECONDS = 0.7

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_SHOW_CURSOR = b"\x1b[?25h\r\n"


class Interrupts:
    """Counts SIGINT, SIGTERM and SIGHUP from `watch` to the end of the program.

    `on_first`, with the signal, and `on_second` are called on Trio's loop, as soon as that turns; `acknowledge`, with
    the signal, at once, in a thread.
    """

    def __init__(
        self, on_first: Callable[[int], None], on_second: Callable[[], None], acknowledge: Callable[[int], None]
    ) -> None:
        self._acknowledge = acknowledge
        self._on_first = on_first
        self._on_second = on_second
        self._token: trio.lowlevel.TrioToken | None = None
        self._trios_wakeup = -1
        self._received, self._wakeup = socket.socketpair()
        self._wakeup.setblocking(False)
        self.count = 0
        #: the first one that came
        self.first: int | None = None

    def watch(self) -> None:
        """Begin to watch. Called on Trio's loop, in the main thread.

        Trio has a wake-up descriptor of its own: ours takes its place, and what comes is passed on.
        """
        self._token = trio.lowlevel.current_trio_token()
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # as `nohup` leaves it
                signal.signal(number, lambda *_: None)
        self._trios_wakeup = signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name="anima-signals", daemon=True).start()

    def leave_trio(self) -> None:
        """The loop has ended; what comes now can only make us leave."""
        self._token = None
        self._trios_wakeup = -1
        signal.set_wakeup_fd(self._wakeup.fileno(), warn_on_full_buffer=False)

    def _listen(self) -> None:
        while True:
            for number in self._received.recv(64):
                if self._trios_wakeup != -1:
                    with contextlib.suppress(OSError):
                        os.write(self._trios_wakeup, bytes([number]))
                if number in SIGNALS:
                    self._interrupt(number)

    def _interrupt(self, number: int) -> None:
        self.count += 1
        if self.count == 1:
            self.first = number
            threading.Thread(target=self._acknowledge, args=(number,), daemon=True).start()
        if self.count == 2:
            # Ends with us: our ends of the reapers' pipes, and so every process group.
            threading.Timer(LEAVE_SECONDS, leave, [INTERRUPTED]).start()
        token = self._token  # it may go at any moment
        if self.count <= 2 and token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                if self.count == 1:
                    token.run_sync_soon(self._on_first, number)
                else:
                    token.run_sync_soon(self._on_second)


def leave(status: int) -> None:
    """End the program now, from any thread, and give the terminal its cursor back."""
    for stream in (sys.__stderr__, sys.__stdout__):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            if stream is not None and stream.isatty():
                fd = stream.fileno()
                os.set_blocking(fd, False)  # a paused terminal takes nothing
                os.write(fd, _SHOW_CURSOR)
                os.set_blocking(fd, True)
                break
    os._exit(status)
