"""How the connection that writes is opened: the file made, and brought to the version of its schema. In a thread."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from ._batch import insist
from ._connection import Connect, Connection, prepare_writer
from ._errors import StoreError, StoreReadOnly, translated
from ._files import make_private
from ._schema import Schema, is_current, migrate


def open_connection(
    path: Path | None, schema: Schema, connect: Connect, busy: float, owner: str | None
) -> tuple[Connection, str]:
    """The connection, and the name by which others to the same file are opened.

    Without `owner` a file that cannot be written is opened to be read. Raises what `open_store` raises.
    """
    name = ":memory:" if path is None else str(path.absolute())
    try:
        if path is not None:
            make_private(path)
        return _open(path, name, schema, connect, busy), name
    except StoreReadOnly as error:
        if path is None or owner is not None:
            raise
        name = _name_to_read(path)
        try:
            return _open(path, name, schema, connect, busy, reading=True), name
        except (StoreError, sqlite3.Error):
            raise error from None


def _name_to_read(path: Path) -> str:
    """Where there is a log somebody has it open, or was killed, and it has to be read too; else nobody changes it."""
    log = path.with_name(path.name + "-wal")
    name = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        return name if log.exists() else f"{name}&immutable=1"
    except OSError:  # its folder cannot be looked into
        return name


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
