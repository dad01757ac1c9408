"""What tests of the store share."""

from __future__ import annotations

from collections.abc import Callable

from anima.store import Connection, Schema, Store

NOTES = Schema("notes", ("CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",))


def put(*texts: str) -> Callable[[Connection], int]:
    """Work that writes notes."""

    def work(connection: Connection) -> int:
        connection.executemany("INSERT INTO note (text) VALUES (?)", [(text,) for text in texts])
        return len(texts)

    return work


def all_texts(connection: Connection) -> list[str]:
    return [text for (text,) in connection.execute("SELECT text FROM note ORDER BY id").fetchall()]


async def texts(store: Store) -> list[str]:
    """All notes, the oldest first."""
    return await store.read(all_texts)
