"""The one who writes: work that waits is committed together, in a thread.

Of those who wait the first one leads: it takes what is there, a batch, to the thread, tells the others what became of
their work, and hands on to the next one. So there is no task or thread that somebody would have to own, and every
thread is awaited by a task. `trio.to_thread` costs 0.1 to 0.2 ms for a whole batch, less than one sync of most disks.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import deque
from pathlib import Path
from typing import Any

import trio

from ._batch import Distrust, Job, Work, commit, do_alone
from ._connection import Connection
from ._errors import StoreClosed, StoreError, StoreFailed, StoreTimeout
from ._files import Identity

#: How many pieces of work are committed together, at most.
MOST = 128
#: Seconds for a thread to end once it has been interrupted.
GRACE = 5.0


class Writer:
    """Owns the connection that writes."""

    def __init__(self, connection: Connection, path: Path | None, *, busy: float, limit: float) -> None:
        self._connection = connection
        self._path = path
        self._busy = busy
        self._limit = limit
        #: every batch carries it; None where there is no exclusive owner
        self.epoch: int | None = None
        self._identity = None if path is None else Identity(path)
        self._waiting: deque[Job] = deque()
        self._leading = False
        self._closed = False
        self._broken: StoreError | None = None
        self._idle: trio.Event | None = None
        self._left_to_thread = False
        # one thread at a time, and none of those that tools may all be holding
        self._threads = trio.CapacityLimiter(1)

    async def write(self, work: Work, *, alone: bool = False) -> Any:
        """Have it done and committed; its value."""
        if self._closed:
            raise StoreClosed(self._path, "it is closed")
        if self._broken is not None:
            raise self._given_up()
        await trio.lowlevel.checkpoint_if_cancelled()
        job = Job(work, alone)
        self._waiting.append(job)
        if self._leading:
            job.task = trio.lowlevel.current_task()

            def abort(_: object) -> trio.lowlevel.Abort:
                if job.taken:
                    return trio.lowlevel.Abort.FAILED
                self._waiting.remove(job)
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(abort)
        if not job.done:
            self._leading = True  # or still is: whoever led before has handed on
            await self._lead(job)
        return job.result()

    async def close(self) -> None:
        """Write what waits, refuse what comes later, and close the connection. Waits for all of it."""
        self._closed = True
        if self._leading:
            self._idle = trio.Event()
            await self._idle.wait()
        try:
            async with self._threads:  # a thread that was given up may still be at it
                pass
        except trio.Cancelled:
            self._left_to_thread = True
            raise
        await trio.to_thread.run_sync(self._close, abandon_on_cancel=True, limiter=self._threads)

    async def _lead(self, job: Job) -> None:
        with trio.CancelScope(shield=True):  # bounded by `_limit` and `GRACE`
            batch = [job]
            try:
                # Those who were told just now, and write again, come along: one commit for all.
                await trio.lowlevel.checkpoint()
                batch = self._take()
                await self._run(batch)
            finally:
                self._settle(batch, job)

    def _take(self) -> list[Job]:
        batch = [self._waiting.popleft()]
        if not batch[0].alone:
            while self._waiting and len(batch) < MOST and not self._waiting[0].alone:
                batch.append(self._waiting.popleft())
        for job in batch:
            job.taken = True
        return batch

    async def _run(self, batch: list[Job]) -> None:
        if self._broken is not None:
            for job in batch:
                job.fail(self._given_up())
            return
        with trio.move_on_after(self._limit):
            await trio.to_thread.run_sync(self._in_thread, batch, abandon_on_cancel=True, limiter=self._threads)
        if batch[-1].done:
            return
        self._connection.interrupt()
        with trio.move_on_after(GRACE):
            async with self._threads:  # the thread has it until it ends
                return
        text = f"a write has not come back for {self._limit + GRACE:g} s; what became of it is not known"
        self._broken = StoreTimeout(self._path, text)
        for job in batch:
            job.fail(StoreTimeout(self._path, text))

    def _in_thread(self, batch: list[Job]) -> None:
        self._do(batch)
        if self._left_to_thread:
            self._close()

    def _do(self, batch: list[Job]) -> None:
        if batch[0].alone:
            do_alone(self._connection, batch[0], path=self._path)
            return
        try:
            commit(self._connection, batch, path=self._path, busy=self._busy, epoch=self.epoch, identity=self._identity)
        except Distrust as distrust:
            self._broken = distrust.reason

    def _close(self) -> None:
        with contextlib.suppress(sqlite3.Error):  # nothing is lost: what was committed is in the log
            self._connection.close()

    def _given_up(self) -> StoreClosed:
        assert self._broken is not None
        closed = StoreClosed(self._path, f"it was given up: {self._broken.text}; open it again")
        closed.__cause__ = self._broken
        return closed

    def _settle(self, batch: list[Job], leader: Job) -> None:
        """Tell those of the batch, and make the next one lead."""
        if not leader.taken:  # struck before it could begin
            self._waiting.popleft()
        for job in batch:
            if not job.done:  # the leader was struck, by a KeyboardInterrupt for one
                job.fail(StoreFailed(self._path, "a write was broken off; what became of it is not known"))
            if job is not leader:
                assert job.task is not None
                trio.lowlevel.reschedule(job.task)
        if self._waiting:
            first = self._waiting[0]
            assert first.task is not None
            trio.lowlevel.reschedule(first.task)
            return
        self._leading = False
        if self._idle is not None:
            self._idle.set()
