"""The seam below the store: the few methods of a connection that it uses, and how it opens one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

Parameters = Sequence[Any] | Mapping[str, Any]

#: Milliseconds that SQLite itself waits for other writers before it says so; the store then goes on trying.
BUSY_TIMEOUT = 250


class Cursor(Protocol):
    """The rows of one statement."""

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """What a piece of work is given. `sqlite3.Connection` is one; a stand-in raises the errors of `sqlite3`.

    The transaction around the work is the store's: BEGIN, COMMIT and ROLLBACK are none of the work's business. Row ids
    and counts come by SQL (`RETURNING id`, `SELECT changes()`), since other bindings name them otherwise.
    """

    @property
    def in_transaction(self) -> bool: ...
    def execute(self, sql: str, parameters: Parameters = ..., /) -> Cursor: ...
    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> Cursor: ...
    def interrupt(self) -> None: ...
    def close(self) -> None: ...


#: Opens a connection in autocommit mode that one thread after the other may use; given a file name, or ":memory:".
Connect = Callable[[str], Connection]


def connect_sqlite(name: str) -> sqlite3.Connection:
    """Open a connection of the standard library. The name of a file is absolute; `file:...` is one with options."""
    uri = name.startswith("file:")
    return sqlite3.connect(
        name, timeout=0, isolation_level=None, check_same_thread=False, cached_statements=256, uri=uri
    )


def prepare_writer(connection: Connection) -> None:
    """What holds for the connection that writes: what is committed is on the disk, power cuts included."""
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}").fetchall()
    # FULL; and while a file is made, before there is a log, the removal of its journal is on the disk as well: were it
    # back after a power cut, it would undo the log. `test_power_cut.py` found it.
    connection.execute("PRAGMA synchronous=EXTRA").fetchall()


def prepare_reader(connection: Connection) -> None:
    """What holds for a connection that reads."""
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT}").fetchall()
