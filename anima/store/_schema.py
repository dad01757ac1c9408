"""Which tables a store has, and how it comes from one version of them to the next."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs

from ._connection import Connection
from ._errors import BadSchema, StoreForeign, StoreNewer

#: A script of SQL, or a function for what SQL cannot say. Neither begins nor ends a transaction.
Migration = str | Callable[[Connection], None]

#: "Anim", in the header of each file: what the command `file` and others may tell stores by.
APPLICATION_ID = 0x416E696D

_OWN = """
CREATE TABLE anima_store (only INTEGER PRIMARY KEY CHECK (only = 1), schema TEXT NOT NULL, epoch INTEGER NOT NULL);
"""


def _checked_name(_: Schema, __: attrs.Attribute[str], name: str) -> None:
    if not name:
        raise BadSchema(None, "a schema needs a name: files are told apart by it")


def _checked_migrations(schema: Schema, _: attrs.Attribute[tuple[Migration, ...]], all: tuple[Migration, ...]) -> None:
    if not all:
        raise BadSchema(None, f"schema {schema.name!r} needs a migration: the first one makes the tables")


@attrs.frozen
class Schema:
    """The tables of a store. `migrations[n]` leads from version n to n + 1; version 0 has none of its tables.

    Migrations that were once released stay as they are: a change is a new one at the end. All that a file needs run in
    one transaction; their references are checked at its end, not before. Leave out deferred constraints: they are
    looked at when a batch is committed, and would fail all of it.
    """

    name: str = attrs.field(validator=_checked_name)
    migrations: tuple[Migration, ...] = attrs.field(validator=_checked_migrations)

    @property
    def version(self) -> int:
        """The version that this program writes."""
        return len(self.migrations)


def is_current(connection: Connection, schema: Schema, path: Path | None) -> bool:
    """Whether the file has this version of this schema; False if it has an older one, or nothing in it yet.

    Raises `StoreForeign`, `StoreNewer`.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == 0 and version == 0 and tables == 0:
        return False
    if application != APPLICATION_ID:
        raise StoreForeign(path, "it is a database of another program; it was left as it is")
    row = connection.execute("SELECT schema FROM anima_store").fetchone()
    if row is None or row[0] != schema.name:
        found = "nothing" if row is None else repr(row[0])
        raise StoreForeign(path, f"it holds {found}, not {schema.name!r}; it was left as it is")
    if version > schema.version:
        raise StoreNewer(path, version, schema.version)
    return bool(version == schema.version)


def migrate(connection: Connection, schema: Schema, path: Path | None) -> None:
    """Bring the tables to the version of the schema, inside the transaction that is open. Raises `BadSchema`."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        for statement in statements(_OWN):
            connection.execute(statement)
        connection.execute("INSERT INTO anima_store VALUES (1, ?, 0)", (schema.name,))
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    for migration in schema.migrations[version:]:
        if callable(migration):
            migration(connection)
        else:
            for statement in statements(migration):
                connection.execute(statement).fetchall()
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise BadSchema(path, f"migrating {schema.name!r} to {schema.version} breaks a reference of table {broken[0]}")
    connection.execute(f"PRAGMA user_version={schema.version}")


def statements(script: str) -> Iterator[str]:
    """The statements of a script. `executescript` would commit the transaction that is open."""
    statement = ""
    for piece in script.split(";"):
        statement += piece + ";"
        if sqlite3.complete_statement(statement):
            if statement.strip() != ";":
                yield statement
            statement = ""
    if statement.strip():  # what never was complete: SQLite says what is wrong with it
        yield statement
