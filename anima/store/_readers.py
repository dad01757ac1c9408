"""Those who read: each in a thread with a connection of its own, beside the one who writes."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import trio

from ._batch import Work, insist
from ._connection import Connection, prepare_reader
from ._errors import StoreClosed, StoreTimeout, translated


class Readers:
    """Owns the connections that read, `most` at the most; they are opened when they are needed."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        path: Path | None,
        *,
        most: int,
        busy: float,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self._connect = connect
        #: raises where what is read is not what is there
        self.check = check
        self.path = path
        self.busy = busy
        self._idle: list[Connection] = []
        self._closed = False
        self._threads = trio.CapacityLimiter(most)

    async def read(self, work: Work, timeout: float, *, snapshot: bool = True) -> Any:
        """Have it done; its value. At the end of the time, or cancelled, the thread is interrupted and left to end."""
        if self._closed:
            raise StoreClosed(self.path, "it is closed")
        reading = _Reading(self, work, snapshot)
        with trio.move_on_after(timeout):
            try:
                return await trio.to_thread.run_sync(reading.run, abandon_on_cancel=True, limiter=self._threads)
            finally:
                reading.stop()
        raise StoreTimeout(self.path, f"a read took longer than {timeout:g} s, and was stopped")

    async def close(self) -> None:
        """Refuse what comes later, wait for what is going on, and close the connections."""
        self._closed = True
        async with contextlib.AsyncExitStack() as all:
            for _ in range(int(self._threads.total_tokens)):
                token = object()
                await self._threads.acquire_on_behalf_of(token)
                all.callback(self._threads.release_on_behalf_of, token)
        for connection in self._idle:
            await trio.to_thread.run_sync(connection.close, abandon_on_cancel=True, limiter=self._threads)

    # In a thread

    def take(self) -> Connection:
        """A connection that nobody uses."""
        try:
            return self._idle.pop()
        except IndexError:
            connection = self._connect()
            prepare_reader(connection)
            return connection

    def give_back(self, connection: Connection) -> None:
        """It can be used again, unless it is in the middle of something."""
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            connection.close()
        else:
            self._idle.append(connection)


@attrs.define(eq=False)
class _Reading:
    """One read, that can be stopped from the loop."""

    readers: Readers
    work: Work
    #: all that is read is of one moment
    snapshot: bool
    _connection: Connection | None = None
    _stopped: bool = False
    #: so that an interrupt never hits the next one that has the connection
    _lock: threading.Lock = attrs.Factory(threading.Lock)

    def run(self) -> Any:
        path = self.readers.path
        self.readers.check()  # or a file that is gone would be made anew
        try:
            connection = self.readers.take()
            try:
                with self._lock:
                    if self._stopped:
                        return None
                    self._connection = connection
                if self.snapshot:
                    connection.execute("BEGIN")
                    insist(connection, "SELECT 1 FROM sqlite_master LIMIT 1", self.readers.busy)
                found = self.work(connection)
                self.readers.check()
                return found
            finally:
                with self._lock:
                    self._connection = None
                self.readers.give_back(connection)
        except sqlite3.Error as error:
            self.readers.check()
            told = translated(error, path)
            if told is error:
                raise
            raise told from error

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._connection is not None:
                self._connection.interrupt()
