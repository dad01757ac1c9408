"""A thread that sees when a task holds up the loop, and says which one and where.

Nothing else can see it: while one task computes, or sleeps without Trio, no supervisor turns. What may take long
belongs into `trio.to_thread.run_sync` or a process.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import trio
from trio.lowlevel import Task

from ._events import LoopBlocked
from ._incarnation import Incarnation, incarnations_around
from ._tree import Tree

#: Folders whose frames do not say what blocks: Trio's, ours, the standard library's.
_NOT_THE_USERS = (
    str(Path(trio.__file__).parent) + os.sep,
    str(Path(__file__).parent) + os.sep,
    sysconfig.get_path("stdlib") + os.sep,
)


class Watchdog:
    """Asks the loop, from a thread, whether it still turns; tells each time that it does not for `limit` seconds."""

    def __init__(self, limit: float, tree: Tree, root: Incarnation) -> None:
        if not 0 < limit < float("inf"):
            raise ValueError(f"watchdog must be a number of seconds above 0, or None, not {limit!r}")
        self._limit = limit
        self._tree = tree
        self._root = root
        self._token = trio.lowlevel.current_trio_token()
        self._loop_thread = threading.get_ident()
        self._ending = threading.Event()
        self._answered = threading.Event()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Watch inside this block; entered and left on the loop."""
        thread = threading.Thread(target=self._watch, name="anima-watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._answered.set()
            thread.join(self._limit)  # it has nothing to wait for now: a matter of microseconds

    def _watch(self) -> None:
        while not self._ending.wait(self._limit / 2):
            answered = self._answered = threading.Event()
            asked = time.monotonic()
            try:
                self._token.run_sync_soon(answered.set)
                if not answered.wait(self._limit) and not self._ending.is_set():
                    self._tell(time.monotonic() - asked)
                    self._wait_for(answered)  # one block, one event
            except trio.RunFinishedError:
                return

    def _wait_for(self, answered: threading.Event) -> None:
        while not answered.wait(self._limit) and not self._ending.is_set():
            pass

    def _tell(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._loop_thread)
        task = _task_of(frame)
        incarnation = next(incarnations_around(self._tree, task), self._root)
        self._tree.emit_from_thread(
            self._token,
            LoopBlocked,
            incarnation.path,
            incarnation.number,
            task="" if task is None else task.name,
            where=_where(frame),
            seconds=seconds,
        )


def _task_of(frame: FrameType | None) -> Task | None:
    """The task that runs: Trio's loop keeps it in the frame that steps it."""
    while frame is not None:
        if frame.f_code.co_name == "unrolled_run" and isinstance(task := frame.f_locals.get("task"), Task):
            return task
        frame = frame.f_back
    return None


def _where(frame: FrameType | None) -> str:
    """The user's line nearest to what is going on; the innermost line of all where none is the user's."""
    innermost = frame
    while frame is not None:
        if not frame.f_code.co_filename.startswith((*_NOT_THE_USERS, "<frozen")):
            return _line(frame)
        frame = frame.f_back
    return "unknown" if innermost is None else _line(innermost)


def _line(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"
