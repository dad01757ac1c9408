"""Recall, as work for a reader of the store: candidates by SQL, their order by `_ranking`.

No step looks at all rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from anima.store import Connection

from ._ranking import ASKED_TIME, PRESENT, SPEAKER, Facts, credited, fused, little, spread_out, to_one
from ._rows import Recalled
from ._schema import COLUMNS, row_of
from ._times import Span, asked_for
from ._words import MOST, match_any, terms, words

#: How many memories are candidates by their words, and as many by their meaning.
CANDIDATES = 200


def recall(
    connection: Connection,
    spaces: Sequence[str],
    query: str,
    limit: int,
    now: datetime,
    alike: Mapping[int, float] | None,
) -> list[Recalled]:
    """The memories that answer a query best, the best first. `alike`: how near they are to it in meaning, if known."""
    said = words(query)
    named = _named(connection, spaces, said)
    time = asked_for(query, now)
    without = {word for name in named for word in words(name)} | set(words(time.said) if time else ())
    scores = to_one(_by_words(connection, spaces, terms(said, frozenset(without))))
    if alike is not None:
        scores = fused(scores, spread_out(alike))
    scores = credited(scores, _around(connection, spaces, scores))
    if time is not None:
        scores = {**dict.fromkeys(_by_time(connection, spaces, time), 0.0), **scores}
    speaker = named[0] if len(named) == 1 else None
    present = _with_named(connection, spaces, list(scores), named)
    facts = _facts(connection, spaces, list(scores))
    seconds = now.timestamp()
    for id, known in facts.items():
        scores[id] += little(known, seconds)
        if known.speaker == speaker:
            scores[id] += SPEAKER
        if id in present:
            scores[id] += PRESENT
        if time is not None and known.at in time:
            scores[id] += ASKED_TIME
    best = sorted(facts, key=lambda one: (-scores[one], -facts[one].at, -one))[:limit]
    rows = {
        row[0]: row_of(row)
        for row in connection.execute(
            f"SELECT {COLUMNS} FROM memory m WHERE m.id IN (SELECT value FROM json_each(?))", (json.dumps(best),)
        )
    }
    return [Recalled(rows[id], scores[id]) for id in best]


def _named(connection: Connection, spaces: Sequence[str], said: list[str]) -> list[str]:
    """The people who speak and whom the query names."""
    found = connection.execute(
        f"SELECT DISTINCT name FROM speaker WHERE space IN ({_marks(spaces)}) "
        "AND word IN (SELECT value FROM json_each(?))",
        (*spaces, json.dumps(said[: 4 * MOST])),
    )
    return [name for (name,) in found.fetchall()]


def _with_named(connection: Connection, spaces: Sequence[str], ids: list[int], named: list[str]) -> set[int]:
    """Those that were said where somebody spoke whom the query names."""
    if not named:
        return set()
    found = connection.execute(
        "WITH place AS (SELECT DISTINCT space, conversation FROM memory WHERE conversation <> '' "
        "AND id IN (SELECT value FROM json_each(:ids))) SELECT m.id FROM memory m JOIN place p "
        "ON p.space = m.space AND p.conversation = m.conversation WHERE m.id IN (SELECT value FROM json_each(:ids)) "
        "AND EXISTS (SELECT 1 FROM memory o WHERE o.space = p.space AND o.conversation = p.conversation "
        "AND o.forgotten_by IS NULL AND o.speaker IN (SELECT value FROM json_each(:named)))",
        {"ids": json.dumps(ids), "named": json.dumps(named)},
    )
    return {id for (id,) in found.fetchall()}


def _by_words(connection: Connection, spaces: Sequence[str], words: list[str]) -> dict[int, float]:
    if not words:
        return {}
    # FTS5 hands them out in order of their rank, and the rest is looked up until there are enough.
    found = connection.execute(
        "SELECT f.rowid, f.rank FROM memory_words f CROSS JOIN memory m ON m.id = f.rowid "
        f"WHERE f.memory_words MATCH ? AND m.space IN ({_marks(spaces)}) ORDER BY f.rank LIMIT {CANDIDATES}",
        (match_any(words), *spaces),
    )
    return {id: -rank for id, rank in found.fetchall()}


def _by_time(connection: Connection, spaces: Sequence[str], time: Span) -> list[int]:
    found: list[int] = []
    for space in spaces:
        rows = connection.execute(
            "SELECT id FROM memory WHERE space = ? AND at >= ? AND at < ? AND forgotten_by IS NULL "
            f"ORDER BY at DESC LIMIT {CANDIDATES}",
            (space, time.begin, time.end),
        )
        found.extend(id for (id,) in rows.fetchall())
    return found


def _around(
    connection: Connection, spaces: Sequence[str], scores: Mapping[int, float]
) -> Iterator[tuple[int, int, int]]:
    """Who is credited by whom: a memory, one near it that has a score, and how many steps after it that one is."""
    places = connection.execute(
        "SELECT id, space, conversation FROM memory WHERE id IN (SELECT value FROM json_each(?)) "
        "AND conversation <> ''",
        (json.dumps(list(scores)),),
    ).fetchall()
    for id, space, conversation in places:
        if space not in spaces:
            continue
        for step, comparison, order in ((-1, "<", "DESC"), (1, ">", "ASC")):
            near = connection.execute(
                f"SELECT id FROM memory WHERE space = ? AND conversation = ? AND id {comparison} ? "
                f"AND forgotten_by IS NULL ORDER BY id {order} LIMIT 2",
                (space, conversation, id),
            )
            for distance, (other,) in enumerate(near.fetchall(), 1):
                yield other, id, -step * distance


def _facts(connection: Connection, spaces: Sequence[str], ids: list[int]) -> dict[int, Facts]:
    """Of those that are there and may be seen: a vector can be older than what became of its memory."""
    found = connection.execute(
        "SELECT id, speaker, at, importance, chosen, count, last FROM memory "
        # with the + no index by space is used: that would be all of the agent's memories
        f"WHERE id IN (SELECT value FROM json_each(?)) AND +space IN ({_marks(spaces)}) AND forgotten_by IS NULL",
        (json.dumps(ids), *spaces),
    )
    return {id: Facts(*values) for id, *values in found.fetchall()}


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
