"""How the connection that writes is opened: the file made, and brought to the version of its schema. In a thread."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import attrs

from ._batch import insist
from ._connection import Connect, Connection, prepare_writer
from ._errors import StoreBusy, StoreError, StoreLost, StoreOutdated, StoreReadOnly, translated
from ._files import Identity, make_private
from ._schema import Schema, is_current, migrate


@attrs.frozen
class Opened:
    """A connection, how others to the same file are opened, and what raises if they read what is not there any more."""

    connection: Connection
    name: str
    check: Callable[[], None] = lambda: None


def open_connection(path: Path | None, schema: Schema, connect: Connect, busy: float, owner: str | None) -> Opened:
    """Without `owner` a file that cannot be written is opened to be read. Raises what `open_store` raises."""
    name = ":memory:" if path is None else str(path.absolute())
    try:
        if path is not None:
            make_private(path)
        connection = _open(path, name, schema, connect, busy)
        return Opened(connection, name) if path is None else Opened(connection, name, Identity(path).check)
    except StoreReadOnly as error:
        if path is None or owner is not None:
            raise
        try:
            return _open_to_read(path.resolve(), path, schema, connect, busy)
        except StoreOutdated as outdated:
            raise outdated from error
        except (StoreError, sqlite3.Error, OSError):
            raise error from None


def _open_to_read(whole: Path, path: Path, schema: Schema, connect: Connect, busy: float) -> Opened:
    """Where there is a log somebody has it open, or was killed, and it has to be read too.

    Else the file alone is read, which takes no lock: should somebody begin to write it, what is read is not valid.
    """
    name = f"file:{quote(str(whole))}?mode=ro"
    before = _state(whole)
    if before.log:
        return Opened(_open(path, name, schema, connect, busy, reading=True), name)

    def check() -> None:
        try:
            same = _state(whole) == before
        except OSError as error:
            raise StoreLost(path, "its file was removed while it was read") from error
        if not same:
            raise StoreBusy(path, "somebody wrote it while it was read; open it again")

    name = f"{name}&immutable=1"
    opened = Opened(_open(path, name, schema, connect, busy, reading=True), name, check)
    try:
        check()
    except StoreError:
        opened.connection.close()
        raise
    return opened


@attrs.frozen
class _State:
    """What changes with a file."""

    log: bool
    size: int
    changed: int


def _state(whole: Path) -> _State:
    found = os.stat(whole)
    return _State(whole.with_name(whole.name + "-wal").exists(), found.st_size, found.st_mtime_ns)


def _open(
    path: Path | None, name: str, schema: Schema, connect: Connect, busy: float, *, reading: bool = False
) -> Connection:
    try:
        connection = connect(name)
        try:
            prepare_writer(connection)
            connection.execute("BEGIN")  # what is looked at is of one moment: another program may be making the tables
            insist(connection, "SELECT count(*) FROM sqlite_master", busy)
            current = is_current(connection, schema, path)
            connection.execute("ROLLBACK")
            if not reading:
                insist(connection, "PRAGMA journal_mode=WAL", busy)
            if reading and not current:
                if connection.execute("PRAGMA user_version").fetchone() == (0,):  # there is nothing in it
                    raise StoreReadOnly(path, "its tables are missing, and it may not be written here")
                raise StoreOutdated(path, "it has an older version, and may not be written here; open it where it may")
            if not current:
                _migrate(connection, schema, path, busy)
            connection.execute("PRAGMA foreign_keys=ON").fetchall()
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        told = translated(error, path)
        if told is error:
            raise
        raise told from error
    return connection


def _migrate(connection: Connection, schema: Schema, path: Path | None, busy: float) -> None:
    connection.execute("PRAGMA foreign_keys=OFF").fetchall()  # it cannot be changed inside of the transaction
    insist(connection, "BEGIN IMMEDIATE", busy)
    if not is_current(connection, schema, path):  # somebody may have been faster
        migrate(connection, schema, path)
    connection.execute("COMMIT")
