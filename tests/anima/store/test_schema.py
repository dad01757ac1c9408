"""Files of older and newer versions, and files of others."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from anima.store import BadSchema, Connection, Migration, Schema, StoreForeign, StoreNewer, connect_sqlite, open_store


def upper(connection: Connection) -> None:
    """What SQL could say as well; a function all the same."""
    for id, text in connection.execute("SELECT id, text FROM note").fetchall():
        connection.execute("UPDATE note SET text = ? WHERE id = ?", (text.upper(), id))


MIGRATIONS: tuple[Migration, ...] = (
    "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT); -- the first; with a remark\n",
    """
    ALTER TABLE note ADD COLUMN tag TEXT NOT NULL DEFAULT 'a;b';
    CREATE TABLE log (id INTEGER PRIMARY KEY, text TEXT);
    CREATE TRIGGER note_added AFTER INSERT ON note BEGIN
        INSERT INTO log (text) VALUES (new.text);
        INSERT INTO log (text) VALUES ('again; ' || new.text);
    END;
    """,
    upper,
)
WHOLE = Schema("notes", MIGRATIONS)


def everything(connection: Connection) -> dict[str, Any]:
    return {
        "tables": connection.execute("SELECT sql FROM sqlite_master ORDER BY name").fetchall(),
        "notes": connection.execute("SELECT text FROM note ORDER BY id").fetchall(),
    }


def raw(path: Path, *sql: str) -> Any:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return [connection.execute(each).fetchall() for each in sql][-1]


@pytest.mark.parametrize("version", range(1, len(MIGRATIONS)))
async def test_a_file_of_each_older_version_becomes_one_of_this(tmp_path: Path, version: int) -> None:
    async with open_store(tmp_path / "new.db", WHOLE) as store:
        expected = await store.read(everything)
    path = tmp_path / "old.db"
    async with open_store(path, Schema("notes", MIGRATIONS[:version])) as store:
        await store.write(lambda connection: connection.execute("INSERT INTO note (text) VALUES ('old')").fetchall())
    async with open_store(path, WHOLE) as store:
        found = await store.read(everything)
    assert found["tables"] == expected["tables"]
    assert found["notes"] == [("OLD",)]
    assert raw(path, "PRAGMA user_version") == [(3,)]


async def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_store(path, Schema("notes", MIGRATIONS[:1])):
        pass

    def fail(connection: Connection) -> None:
        connection.execute("CREATE TABLE half (id INTEGER)")
        raise LookupError("half way")

    before = raw(path, "SELECT sql FROM sqlite_master")
    with pytest.raises(LookupError, match="half way"):
        async with open_store(path, Schema("notes", (*MIGRATIONS[:2], fail))):
            pass
    assert raw(path, "SELECT sql FROM sqlite_master") == before
    assert raw(path, "PRAGMA user_version") == [(1,)]


async def test_a_migration_may_not_leave_references_to_nothing(tmp_path: Path) -> None:
    tables = "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a INTEGER REFERENCES a);"
    with pytest.raises(BadSchema, match="breaks a reference of table b"):
        async with open_store(tmp_path / "x.db", Schema("x", (tables, "INSERT INTO b VALUES (1)"))):
            pass
    async with open_store(tmp_path / "y.db", Schema("x", (tables,))) as store:
        with pytest.raises(sqlite3.IntegrityError):
            await store.write(lambda connection: connection.execute("INSERT INTO b VALUES (1)").fetchall())


async def test_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    async with open_store(path, WHOLE):
        pass
    before = path.read_bytes()
    with pytest.raises(StoreNewer, match=r"notes\.db: it has version 3 .* up to 2") as caught:
        async with open_store(path, Schema("notes", MIGRATIONS[:2])):
            pass
    assert (caught.value.found, caught.value.known) == (3, 2)
    assert path.read_bytes() == before


def another_program(path: Path) -> None:
    raw(path, "CREATE TABLE theirs (id INTEGER)")


def another_version(path: Path) -> None:
    raw(path, "PRAGMA user_version=1")


def text_file(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)


@pytest.mark.parametrize("make", [another_program, another_version, text_file])
async def test_a_foreign_file_is_refused_and_left_as_it_is(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "theirs.db"
    make(path)
    before = path.read_bytes()
    with pytest.raises(StoreForeign, match=r"theirs\.db"):
        async with open_store(path, WHOLE):
            pass
    assert path.read_bytes() == before


async def test_a_store_of_another_kind_is_refused(tmp_path: Path) -> None:
    async with open_store(tmp_path / "x.db", Schema("memory", ("CREATE TABLE m (id INTEGER)",))):
        pass
    with pytest.raises(StoreForeign, match="holds 'memory', not 'notes'"):
        async with open_store(tmp_path / "x.db", WHOLE):
            pass


async def test_many_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    async def open_and_write(n: int) -> None:
        async with open_store(tmp_path / "notes.db", WHOLE) as store:
            await store.write(
                lambda connection: connection.execute("INSERT INTO note (text) VALUES (?)", (str(n),)).fetchall()
            )

    async with trio.open_nursery() as nursery:
        for n in range(8):
            nursery.start_soon(open_and_write, n)
    assert sorted(raw(tmp_path / "notes.db", "SELECT text FROM note")) == [(str(n),) for n in range(8)]


def test_a_schema_that_cannot_be() -> None:
    with pytest.raises(BadSchema, match="name"):
        Schema("", MIGRATIONS)
    with pytest.raises(BadSchema, match="needs a migration"):
        Schema("x", ())


async def test_a_script_with_a_mistake_says_so(tmp_path: Path) -> None:
    for script in ("CREATE TABEL x (id)", "CREATE TABLE x (id); SELECT 'open"):
        with pytest.raises(sqlite3.OperationalError):
            async with open_store(None, Schema("x", (script,))):
                pass


def test_the_connection_of_the_standard_library_is_one() -> None:
    with contextlib.closing(connect_sqlite(":memory:")) as connection:
        as_connection: Connection = connection
        assert not as_connection.in_transaction
