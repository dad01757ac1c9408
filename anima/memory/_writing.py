"""Remembering, forgetting and taking back, as work for the store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from anima.store import Connection

from ._rows import Memory, NewMemory
from ._schema import COLUMNS, row_of, space_of
from ._words import words

#: Seconds that what a run has forgotten is kept, for `undo`.
KEPT = 30 * 86_400.0


def remember(
    connection: Connection,
    agent: str,
    new: Sequence[NewMemory],
    now: float,
    vectors: Sequence[bytes | None] | None = None,
) -> list[int]:
    """Write each, or count it once more where it is there; the ids, in order."""
    return [_remember(connection, agent, each, now, vectors[n] if vectors else None) for n, each in enumerate(new)]


def _remember(connection: Connection, agent: str, new: NewMemory, now: float, vector: bytes | None) -> int:
    if new.once:
        done = connection.execute(
            "SELECT id FROM memory WHERE forgotten_by IS NULL AND id IN ("
            "SELECT id FROM memory WHERE agent = :agent AND once = :once AND once <> '' UNION ALL "
            "SELECT memory FROM sighting WHERE agent = :agent AND once = :once AND once <> '')",
            {"agent": agent, "once": new.once},
        ).fetchone()
        if done is not None:
            return int(done[0])
    space = space_of(agent, new.scope)
    at = now if new.at is None else new.at.timestamp()
    # What is recorded has its place in its conversation; what was chosen is the same wherever it was said.
    place = "" if new.chosen else new.conversation
    digest = digest_of(agent, space, new.key, place, new.speaker, new.text)
    found = connection.execute("SELECT id FROM memory WHERE digest = ?", (digest,)).fetchone()
    if found is not None:
        id = int(found[0])
        connection.execute(
            "INSERT INTO sighting (memory, agent, run, at, once) VALUES (?, ?, ?, ?, ?)",
            (id, agent, new.run, at, new.once),
        )
        # the largest of the times: a clock may jump back
        connection.execute("UPDATE memory SET count = count + 1, last = max(last, ?) WHERE id = ?", (at, id))
        return id
    id = int(
        connection.execute(
            "INSERT INTO memory (digest, space, agent, key, text, source, trust, run, conversation, speaker, at, "
            "importance, chosen, last, once) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
            (
                digest, space, agent, new.key, new.text, new.source.value, new.trust.value, new.run, new.conversation,
                new.speaker, at, new.importance, new.chosen, at, new.once,
            ),
        ).fetchone()[0]
    )  # fmt: skip
    if new.speaker:
        connection.executemany(
            "INSERT OR IGNORE INTO speaker (space, word, name) VALUES (?, ?, ?)",
            [(space, word, new.speaker) for word in words(new.speaker)],
        )
    if vector is not None:
        connection.execute("INSERT INTO vector (memory, data) VALUES (?, ?)", (id, vector))
    return id


def digest_of(agent: str, space: str, key: str | None, place: str, speaker: str, text: str) -> bytes:
    """What makes two memories the same one: who wrote it for whom, and every character of it."""
    parts = [agent, space, "" if key is None else "=" + key, place, speaker, text]
    return hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).digest()[:16]


def forget(connection: Connection, agent: str, spaces: Sequence[str], which: int | str, run: str, now: float) -> int:
    """Forget a memory, or all with a key, of those that the agent wrote; how many. For a run: so that it can undo."""
    by = "id" if isinstance(which, int) else "key"
    ids = [
        id
        for (id,) in connection.execute(
            f"SELECT id FROM memory WHERE {by} = ? AND agent = ? AND forgotten_by IS NULL "
            f"AND space IN ({', '.join('?' * len(spaces))})",
            (which, agent, *spaces),
        ).fetchall()
    ]
    for id in ids:
        if run:
            connection.execute(
                "UPDATE memory SET forgotten_by = ?, forgotten_at = ?, digest = NULL WHERE id = ?", (run, now, id)
            )
        else:
            connection.execute("DELETE FROM memory WHERE id = ?", (id,))
    return len(ids)


def undo(connection: Connection, agent: str, run: str) -> int:
    """Take back what a run of the agent wrote, counted once more, and forgot; how many memories that changed."""
    mine = (agent, run)  # with `run <> ''` it is found by an index: it says so, and so does the query
    # all lists first: what is restored is not taken back by the steps after it
    forgotten = connection.execute("SELECT id FROM memory WHERE agent = ? AND forgotten_by = ?", mine).fetchall()
    counted = connection.execute(
        "SELECT DISTINCT memory FROM sighting WHERE agent = ? AND run = ? AND run <> ''", mine
    ).fetchall()
    written = connection.execute("SELECT id FROM memory WHERE agent = ? AND run = ? AND run <> ''", mine).fetchall()
    changed = {id for (id,) in [*forgotten, *counted, *written]}
    for (id,) in forgotten:
        _restore(connection, id)
    connection.execute("DELETE FROM sighting WHERE agent = ? AND run = ? AND run <> ''", mine)
    for (id,) in written:
        _take_back(connection, id)
    for id in changed:
        _count(connection, id)
    return len(changed)


def purge(connection: Connection, now: float) -> None:
    """Delete what runs forgot so long ago that nobody will undo them."""
    connection.execute("DELETE FROM memory WHERE forgotten_by IS NOT NULL AND forgotten_at < ?", (now - KEPT,))


def _restore(connection: Connection, id: int) -> None:
    memory = row_of(connection.execute(f"SELECT {COLUMNS} FROM memory m WHERE id = ?", (id,)).fetchone())
    digest = _digest(memory)
    again = connection.execute("SELECT id FROM memory WHERE digest = ?", (digest,)).fetchone()
    if again is None:
        connection.execute(
            "UPDATE memory SET forgotten_by = NULL, forgotten_at = NULL, digest = ? WHERE id = ?", (digest, id)
        )
        return
    # It was remembered anew since: the two become one, the new one, which has seen what the old one had.
    connection.execute(
        "INSERT INTO sighting (memory, agent, run, at, once) SELECT ?, agent, run, at, once FROM memory WHERE id = ?",
        (again[0], id),
    )
    connection.execute("UPDATE sighting SET memory = ? WHERE memory = ?", (again[0], id))
    connection.execute("DELETE FROM memory WHERE id = ?", (id,))
    _count(connection, again[0])


def _take_back(connection: Connection, id: int) -> None:
    """Where others have remembered it as well, it is theirs; else it goes."""
    other = connection.execute(
        "SELECT id, run, at, once FROM sighting WHERE memory = ? ORDER BY id LIMIT 1", (id,)
    ).fetchone()
    if other is None:
        connection.execute("DELETE FROM memory WHERE id = ?", (id,))
        return
    connection.execute("DELETE FROM sighting WHERE id = ?", (other[0],))
    connection.execute("UPDATE memory SET run = ?, at = ?, once = ? WHERE id = ?", (*other[1:], id))


def _count(connection: Connection, id: int) -> None:
    connection.execute(
        "UPDATE memory SET count = 1 + (SELECT count(*) FROM sighting WHERE memory = memory.id), "
        "last = max(at, coalesce((SELECT max(s.at) FROM sighting s WHERE s.memory = memory.id), at)) WHERE id = ?",
        (id,),
    )


def _digest(memory: Memory) -> bytes:
    place = "" if memory.chosen else memory.conversation
    space = space_of(memory.agent, memory.scope)
    return digest_of(memory.agent, space, memory.key, place, memory.speaker, memory.text)
