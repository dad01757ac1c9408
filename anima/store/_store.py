"""A store: one file with tables, written by one and read by several, never on the loop."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import trio

from ._connection import Connect, Connection, connect_sqlite
from ._errors import StoreCorrupt, StoreReadOnly, StoreTimeout, code_of
from ._files import FILE_MODE, sync_folder
from ._lock import lock_exclusively
from ._opening import open_connection
from ._readers import Readers
from ._schema import Schema
from ._writer import GRACE, Writer

T = TypeVar("T")

#: Seconds that copying, checking and cleaning up may take: they go through the whole file.
_LONG = 600.0


class Store:
    """Tables in a file. Made by `open_store`; belongs to one Trio loop.

    What is raised beside the errors named at each method: `StoreClosed` after its end or after it was given up;
    `StoreFailed`, `StoreCorrupt` when the disk or the file is bad.
    """

    def __init__(self, path: Path | None, writer: Writer, readers: Readers | None) -> None:
        #: its file; None where it is in memory
        self.path = path
        self._writer = writer
        self._readers = readers

    def __repr__(self) -> str:
        return f"<Store {self.path or 'in memory'}>"

    @property
    def epoch(self) -> int | None:
        """How many exclusive owners it has had, this one included; None without one. Grows with each."""
        return self._writer.epoch

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in a transaction, and return its value once that is on the disk: a power cut takes nothing of it.

        Work that waits at the same time is committed together, in the order of the calls. It runs in a thread, for
        seconds at the most; it is to return rows, not cursors, and to leave the transaction alone. If it raises, what
        it wrote is rolled back, nothing else is, and the error is raised here.

        Cancelled while it waits, nothing was written. Cancelled while it is being committed, it first waits for the
        outcome, which is returned or raised; the cancellation is then raised at the next checkpoint.

        Raises `StoreBusy`, `StoreFull`, `StoreReadOnly`, `StoreTimeout`, `StoreLost`.
        """
        result: T = await self._writer.write(work)
        return result

    async def read(self, work: Callable[[Connection], T], *, timeout: float = 30.0) -> T:
        """Do `work` on what is committed at this moment, and return its value. Writers do not hold it up.

        It runs in a thread, and is to return rows, not cursors. After `timeout` seconds, or cancelled, its statement is
        interrupted and its result dropped. Raises `StoreTimeout`, `StoreBusy`; `StoreReadOnly` if it writes.
        """
        only = _reading_only(work, self.path)
        if self._readers is None:  # in memory there is one connection for all
            return await self.write(only)
        result: T = await self._readers.read(only, timeout)
        return result

    async def backup(self, to: Path) -> None:
        """Make a consistent copy, while others read and write; it is on the disk, whole, or not there at all.

        The copy is compact and can be opened like any store. Takes as long as copying does. Raises `StoreFull`,
        `StoreReadOnly`; `FileExistsError` if there is something at `to`.
        """

        def copy(connection: Connection) -> None:
            _copy(connection, to)

        if self._readers is None:
            await self._writer.write(copy, alone=True)
        else:
            await self._readers.read(copy, _LONG, snapshot=False)

    async def checkpoint(self) -> bool:
        """Bring everything from the write-ahead log into the file, and empty the log. False if readers were in the way.

        Needs no calling for safety: it happens by itself. Writers wait meanwhile.
        """

        def empty(connection: Connection) -> bool:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            return not busy

        return bool(await self._writer.write(empty, alone=True))

    async def check(self) -> None:
        """Look through the whole file for damage. Raises `StoreCorrupt` with what was found first."""

        def look(connection: Connection) -> list[str]:
            return [row[0] for row in connection.execute("PRAGMA quick_check(5)").fetchall()]

        found = await self.read(look, timeout=_LONG)
        if found != ["ok"]:
            raise StoreCorrupt(self.path, f"it is damaged ({'; '.join(found)}); restore a backup")


@contextlib.asynccontextmanager
async def open_store(
    path: Path | None,
    schema: Schema,
    *,
    owner: str | None = None,
    connect: Connect = connect_sqlite,
    readers: int = 2,
    busy: float = 10.0,
    limit: float = 30.0,
) -> AsyncIterator[Store]:
    """Open the store at `path`, and make it where there is none: `async with open_store(path, schema) as store`.

    With `owner`, a text that others are shown, nobody else can open it as an owner meanwhile: a lock file beside it
    says so, and each batch that is written checks the epoch, so that an owner who was taken for dead writes no more.
    Without, several programs may use it at once, and one that may not write it can read it: `write` raises then. None
    for `path`: in memory, gone at the end.

    `readers` read at once; `busy` is how many seconds other programs are waited for, `limit` how many a batch may take.

    At its end what waits is written, which takes `limit` and some seconds at most, then the threads have ended.

    Raises `StoreNewer`, `StoreForeign`, `StoreLocked`, `StoreReadOnly`, `StoreBusy`, `StoreCorrupt`.
    """
    async with contextlib.AsyncExitStack() as stack:
        if owner is not None and path is not None:
            await stack.enter_async_context(lock_exclusively(lock_path(path), owner))
        with trio.CancelScope(shield=True):  # a thread that opens is not left alone with what it opens; see `busy`
            opened = await trio.to_thread.run_sync(open_connection, path, schema, connect, busy, owner)
        writer = Writer(opened.connection, path, busy=busy, limit=limit)
        beside = (
            None
            if path is None
            else Readers(lambda: connect(opened.name), path, most=readers, busy=busy, check=opened.check)
        )
        try:
            if owner is not None:
                writer.epoch = await writer.write(_next_epoch)
            yield Store(path, writer, beside)
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(limit + 2 * GRACE) as closing:
                if beside is not None:
                    await beside.close()
                await writer.close()
            if closing.cancelled_caught:
                raise StoreTimeout(path, "it could not be closed in time; a thread still waits for its disk")


def lock_path(path: Path) -> Path:
    """The file that says who owns the store."""
    return path.with_name(path.name + ".lock")


def _next_epoch(connection: Connection) -> int:
    (epoch,) = connection.execute("UPDATE anima_store SET epoch = epoch + 1 RETURNING epoch").fetchone()
    return int(epoch)


def _reading_only(work: Callable[[Connection], T], path: Path | None) -> Callable[[Connection], T]:
    """The same work on a connection that it cannot write by."""

    def read(connection: Connection) -> T:
        (before,) = connection.execute("PRAGMA query_only").fetchone()
        connection.execute("PRAGMA query_only=ON").fetchall()
        try:
            return work(connection)
        except sqlite3.OperationalError as error:
            if code_of(error) == sqlite3.SQLITE_READONLY:
                raise StoreReadOnly(path, "a read cannot write; that is what `write` is for") from error
            raise
        finally:
            connection.execute(f"PRAGMA query_only={before}").fetchall()

    return read


def _copy(connection: Connection, to: Path) -> None:
    """A copy is made beside, and gets its name when it is on the disk."""
    if to.exists():
        raise FileExistsError(f"there is something at {to}; a backup does not overwrite")
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{to.name}.", dir=to.parent)  # mode 0600
    except OSError as error:
        raise StoreReadOnly(to, f"a copy cannot be written there ({error.strerror})") from error
    beside = Path(name)
    try:
        connection.execute("VACUUM INTO ?", (name,)).fetchall()  # reads the source in one snapshot
        os.fsync(descriptor)
        os.link(beside, to)  # unlike a rename it does not replace what has come there meanwhile
        sync_folder(to.parent)
    finally:
        os.close(descriptor)
        beside.unlink()
    to.chmod(FILE_MODE)
