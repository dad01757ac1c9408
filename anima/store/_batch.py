"""Pieces of work that are committed together. Runs in the thread of the writer."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

from ._connection import Connection
from ._errors import StoreError, StoreFailed, StoreLost, code_of, translated
from ._files import Identity

Work = Callable[[Connection], Any]

#: Seconds between two tries to begin, after SQLite has waited by itself.
_AGAIN = 0.01

#: What SQLite says when a sync failed.
_SYNC = (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.SQLITE_IOERR_DIR_FSYNC)


@attrs.define(eq=False)
class Job:
    """A piece of work, who waits for it, and what became of it."""

    work: Work
    #: outside of any transaction, and with no other: what SQLite does not do inside of one
    alone: bool = False
    task: trio.lowlevel.Task | None = None
    #: cannot be taken back any more
    taken: bool = False
    value: Any = None
    error: Exception | None = None
    #: value and error are final
    done: bool = False

    def result(self) -> Any:
        """Its value, or its error raised."""
        if self.error is not None:
            try:
                raise self.error
            finally:
                self.error = None  # no circle by its traceback
        return self.value

    def fail(self, error: Exception) -> None:
        """It is over: nothing of it was written."""
        self.value, self.error, self.done = None, error, True


class Distrust(Exception):
    """The store cannot be used any more; each job of the batch has its error."""

    def __init__(self, reason: StoreError) -> None:
        super().__init__(str(reason))
        self.reason = reason


def insist(connection: Connection, sql: str, busy: float) -> None:
    """Execute what needs a lock of the file; while other programs are in the way try again, for `busy` seconds."""
    deadline = time.monotonic() + busy
    while True:
        try:
            connection.execute(sql).fetchall()
            return
        except sqlite3.OperationalError as error:
            if code_of(error) & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            if time.monotonic() >= deadline:
                raise
        time.sleep(_AGAIN)


def commit(
    connection: Connection,
    jobs: Sequence[Job],
    *,
    path: Path | None,
    busy: float,
    epoch: int | None,
    identity: Identity | None = None,
) -> None:
    """Do the jobs in one transaction, each in a savepoint of its own; then all of them are done, or have failed.

    The file has to have its `identity` still; an exclusive owner has an `epoch`, which has to be what it was.

    Raises `Distrust` when the connection must not be used any more.
    """
    try:
        insist(connection, "BEGIN IMMEDIATE", busy)
        _check_owner(connection, path, epoch, identity)
        for job in jobs:
            _do(connection, job, path)
        connection.execute("COMMIT")
    except (sqlite3.Error, StoreError) as error:
        _fail_all(connection, jobs, error, path)
    for job in jobs:
        job.done = True


def do_alone(connection: Connection, job: Job, *, path: Path | None) -> None:
    """Do one job without a transaction around it."""
    try:
        job.value = job.work(connection)
    except Exception as error:
        job.fail(translated(error, path) if isinstance(error, sqlite3.Error) else error)
    job.done = True


def _do(connection: Connection, job: Job, path: Path | None) -> None:
    connection.execute("SAVEPOINT job")
    try:
        job.value = job.work(connection)
    except Exception as error:
        job.error = translated(error, path) if isinstance(error, sqlite3.Error) else error
        if not connection.in_transaction:
            # Out of room, an interrupt and the like: SQLite has rolled back everything, what came before included.
            cause = error if isinstance(error, sqlite3.Error) else None
            raise cause or StoreFailed(path, "a piece of work ended the transaction; nothing was written") from error
        connection.execute("ROLLBACK TO job")
    if not connection.in_transaction:
        raise StoreFailed(path, "a piece of work ended the transaction, which is the store's; leave that out")
    connection.execute("RELEASE job")


def _check_owner(connection: Connection, path: Path | None, epoch: int | None, identity: Identity | None) -> None:
    if epoch is not None:
        (now,) = connection.execute("SELECT epoch FROM anima_store").fetchone()
        if now != epoch:
            raise StoreLost(
                path, f"another process has become its owner (epoch {now}, this one has {epoch}); stop this one"
            )
    if identity is not None:
        identity.check()


def _fail_all(connection: Connection, jobs: Sequence[Job], error: Exception, path: Path | None) -> None:
    """Nothing of the batch is written; each job gets an error of its own."""
    unsynced = isinstance(error, sqlite3.Error) and code_of(error) in _SYNC
    if unsynced:
        # Nobody knows what is on the disk, and the kernel has forgotten that it has to write it.
        text = f"its disk failed to make a write last ({error}); whether that is there later is not known"
        unknown = StoreFailed(path, text)
        unknown.__cause__ = error
        error = unknown
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        pass  # looked at below
    for job in jobs:
        own = job.error
        job.fail(own if own is not None else _told(error, path))
    if unsynced or connection.in_transaction or isinstance(error, StoreLost):
        raise Distrust(_told(error, path)) from error


def _told(error: Exception, path: Path | None) -> StoreError:
    told = translated(error, path) if isinstance(error, sqlite3.Error) else error
    if not isinstance(told, StoreError):
        failed = StoreFailed(path, f"it could not be written ({error}); nothing was written")
        failed.__cause__ = error
        return failed
    if told is error:  # raised at several callers: each has its own traceback
        told = type(told).__new__(type(told), *told.args)
        told.__dict__.update(error.__dict__)
        told.__cause__ = error
    return told
