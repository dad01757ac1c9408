"""The journal on the disk: what is acknowledged survives the program, and a power cut."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import attrs

from anima.store import Connection, Schema, Store
from anima_supervisors import BadSpec

from ._answer import Spent
from ._budgets import spent_by
from ._codec import Codec
from ._journal import PROGRESS, BegunAlready, Letter, Spawned
from ._records import Record, TurnBegan, TurnEnded

#: How long, in seconds, and in how many bytes turns are kept after they have ended.
KEEP = 90 * 24 * 3600.0
SIZE = 1 << 30
#: So many turns are let go in one transaction: of those that are too old, and of those that take too much room.
TOO_OLD, TOO_MUCH = 500, 20
DAY = 86_400.0

#: Migrations that were once released stay as they are; a change is a new one at the end.
JOURNAL = Schema(
    "anima.journal",
    (
        """
        CREATE TABLE turns (
            number INTEGER PRIMARY KEY AUTOINCREMENT,  -- their order: clocks may jump
            id TEXT NOT NULL UNIQUE,
            agent TEXT NOT NULL,
            conversation TEXT NOT NULL,
            state TEXT NOT NULL,                       -- open, ended, aside
            attempts INTEGER NOT NULL,
            epoch INTEGER NOT NULL,                    -- of the program that worked on it last
            began REAL NOT NULL,
            changed REAL NOT NULL,
            stop_reason TEXT,
            error TEXT
        );
        CREATE INDEX turns_of_conversation ON turns (agent, conversation, number);
        CREATE INDEX turns_open ON turns (agent, number) WHERE state = 'open';
        CREATE INDEX turns_by_age ON turns (changed);
        CREATE TABLE records (
            turn INTEGER NOT NULL REFERENCES turns (number) ON DELETE CASCADE,
            number INTEGER NOT NULL,
            time REAL NOT NULL,
            body TEXT NOT NULL,
            PRIMARY KEY (turn, number)
        ) WITHOUT ROWID;
        CREATE TABLE letters (
            number INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            agent TEXT NOT NULL,
            sender TEXT NOT NULL,
            text TEXT NOT NULL,
            posted REAL NOT NULL,
            seen REAL
        );
        CREATE INDEX letters_unseen ON letters (agent, number) WHERE seen IS NULL;
        CREATE TABLE spent (                           -- by agent, over all its turns
            agent TEXT PRIMARY KEY, tokens INTEGER NOT NULL, cost REAL NOT NULL, calls INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE timers (agent TEXT NOT NULL, timer TEXT NOT NULL, due REAL NOT NULL, PRIMARY KEY (agent, timer))
            WITHOUT ROWID;
        """,
        """
        ALTER TABLE turns ADD COLUMN owed INTEGER NOT NULL DEFAULT 0;  -- to be remembered when it has ended
        CREATE INDEX turns_owed ON turns (agent, number) WHERE owed AND state = 'ended';
        CREATE TABLE spawned (
            agent TEXT NOT NULL,
            name TEXT NOT NULL,
            persona TEXT NOT NULL,
            key TEXT NOT NULL,
            turn INTEGER REFERENCES turns (number) ON DELETE SET NULL,  -- in which it was started
            PRIMARY KEY (agent, name)
        ) WITHOUT ROWID;
        CREATE INDEX spawned_in ON spawned (turn);
        """,
    ),
)


@attrs.frozen(kw_only=True)
class Retention:
    """How much of turns that have ended is kept: for `keep` seconds, and the oldest while there are under `size` bytes.

    Raises `BadSpec`.
    """

    keep: float = KEEP
    size: int = SIZE

    def __attrs_post_init__(self) -> None:
        if not self.keep > 0 or self.size < 0:
            raise BadSpec(f"turns are kept for more than 0 seconds and in 0 bytes or more, not {self}")


class StoreJournal:
    """A journal in a store that this program owns (`open_store(..., JOURNAL, owner=...)`).

    `now` is the time of the wall, for people who read it; nothing is decided by it.
    """

    def __init__(self, store: Store, now: Callable[[], float] = time.time) -> None:
        self.store = store
        self._now = now
        self._codec = Codec()

    @property
    def _epoch(self) -> int:
        return self.store.epoch or 0

    async def prune(self, retention: Retention) -> int:
        """Let go of turns that ended, and letters that were seen, too long ago; how many turns that were.

        Then, while the journal holds too many bytes, of the oldest turns that have ended; its file grows no further,
        and gets no smaller. What was spent stays counted; what is still to be remembered does not go by its age. How
        old something is is counted from what happened last, if that was longer ago: a clock that has jumped ahead costs
        nothing.
        """
        now, gone = self._now(), 0
        while count := await self.store.write(lambda connection: _forget(connection, now, retention)):
            gone += count
        return gone

    async def append(self, turn: str, records: Sequence[Record], taken: Sequence[str] = ()) -> None:
        rows = [(record, self._codec.encode(record)) for record in records]
        now, epoch = self._now(), self._epoch
        spent = spent_by(records)
        progress = any(isinstance(record, PROGRESS) for record in records)

        def write(connection: Connection) -> None:
            for record, body in rows:
                if isinstance(record, TurnBegan):
                    _begin(connection, turn, record, now, epoch)
                keep_record(connection, turn, body, now)
                if isinstance(record, TurnEnded):
                    connection.execute(
                        "UPDATE turns SET state = 'ended', stop_reason = ?, error = ?, changed = ? WHERE id = ?",
                        (record.stop_reason.value, record.error and _plain(record.error), now, turn),
                    )
            if spent != Spent():
                connection.execute(
                    "INSERT INTO spent SELECT agent, ?, ?, ? FROM turns WHERE id = ? ON CONFLICT DO UPDATE SET"
                    " tokens = tokens + excluded.tokens, cost = cost + excluded.cost, calls = calls + excluded.calls",
                    (spent.tokens, spent.cost, spent.calls, turn),
                )
            if progress:
                connection.execute("UPDATE turns SET attempts = 1, error = NULL WHERE id = ? AND attempts > 1", (turn,))
            connection.executemany(
                "UPDATE letters SET seen = ? WHERE id = ? AND seen IS NULL", [(now, id) for id in taken]
            )

        await self.store.write(write)

    async def records(self, turn: str) -> tuple[Record, ...]:
        sql = "SELECT body FROM records WHERE turn = (SELECT number FROM turns WHERE id = ?) ORDER BY number"
        return tuple(self._codec.decode(body, turn) for (body,) in await self._look(sql, turn))

    async def turns(self, agent: str, conversation: str) -> tuple[str, ...]:
        sql = "SELECT id FROM turns WHERE agent = ? AND conversation = ? ORDER BY number"
        return tuple(id for (id,) in await self._look(sql, agent, _plain(conversation)))

    async def attempt(self, turn: str) -> int:
        sql = "UPDATE turns SET attempts = attempts + 1, epoch = ? WHERE id = ? RETURNING attempts"
        [(attempts,)] = await self._do(sql, self._epoch, turn)
        return int(attempts)

    async def unfinished(self, agent: str) -> tuple[str, ...]:
        sql = "SELECT id FROM turns WHERE agent = ? AND state = 'open' AND epoch < ? ORDER BY number"
        return tuple(id for (id,) in await self._look(sql, agent, self._epoch))

    async def park(self, turn: str) -> None:
        await self._do("UPDATE turns SET attempts = attempts - 1 WHERE id = ?", turn)

    async def failed(self, turn: str, error: str) -> None:
        await self._do("UPDATE turns SET error = ? WHERE id = ? AND state = 'open'", _plain(error), turn)

    async def put_aside(self, turn: str, error: str) -> None:
        last = "CASE state WHEN 'open' THEN coalesce('; the last time by ' || error, '') ELSE '' END"
        sql = f"UPDATE turns SET state = 'aside', error = ? || {last}, changed = ? WHERE id = ?"
        await self._do(sql, _plain(error), self._now(), turn)

    async def unremembered(self, agent: str) -> Mapping[str, float | None]:
        sql = "SELECT id, changed FROM turns WHERE agent = ? AND state = 'ended' AND owed ORDER BY number"
        return dict(await self._look(sql, agent))

    async def remembered(self, turn: str) -> None:
        await self._do("UPDATE turns SET owed = 0 WHERE id = ?", turn)

    async def keep_spawned(self, agent: str, turn: str, spawned: Spawned) -> None:
        sql = "INSERT OR REPLACE INTO spawned SELECT ?, ?, ?, ?, number FROM turns WHERE id = ?"
        await self._do(sql, agent, _plain(spawned.name), _plain(spawned.persona), spawned.key, turn)

    async def spawned(self, agent: str, *, now_open: bool) -> tuple[Spawned, ...]:
        sql = "SELECT name, persona, key FROM spawned s LEFT JOIN turns t ON t.number = s.turn WHERE s.agent = ?"
        only = " AND t.state = 'open'" if now_open else ""
        return tuple(Spawned(*row) for row in await self._look(f"{sql}{only} ORDER BY name", agent))

    async def spent(self) -> Mapping[str, Spent]:
        rows = await self._look("SELECT agent, tokens, cost, calls FROM spent")
        return {agent: Spent(tokens=tokens, cost=cost, calls=calls) for agent, tokens, cost, calls in rows}

    async def post(self, agent: str, letter: Letter) -> bool:
        sql = "INSERT INTO letters (id, agent, sender, text, posted) VALUES (?, ?, ?, ?, ?)"
        row = (letter.id, agent, _plain(letter.sender), _plain(letter.text), self._now())
        return bool(await self._do(f"{sql} ON CONFLICT DO NOTHING RETURNING id", *row))

    async def letters(self, agent: str) -> tuple[Letter, ...]:
        sql = "SELECT id, text, sender FROM letters WHERE agent = ? AND seen IS NULL ORDER BY number"
        return tuple(Letter(*row) for row in await self._look(sql, agent))

    async def due(self, agent: str, timer: str) -> float | None:
        rows = await self._look("SELECT due FROM timers WHERE agent = ? AND timer = ?", agent, timer)
        return float(rows[0][0]) if rows else None

    async def set_due(self, agent: str, timer: str, due: float) -> None:
        sql = "INSERT INTO timers VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET due = excluded.due"
        await self._do(sql, agent, timer, due)

    async def _look(self, sql: str, *values: object) -> list[Any]:
        """The rows of one query."""
        return await self.store.read(lambda connection: connection.execute(sql, values).fetchall())

    async def _do(self, sql: str, *values: object) -> list[Any]:
        """One statement, committed; the rows that it returns."""
        return await self.store.write(lambda connection: connection.execute(sql, values).fetchall())


def keep_record(connection: Connection, turn: str, body: str, now: float) -> None:
    """The next record of a turn. Raises `LookupError` if the turn was never begun."""
    kept = connection.execute(
        "INSERT INTO records SELECT t.number, coalesce((SELECT max(r.number) FROM records r"
        " WHERE r.turn = t.number), 0) + 1, ?, ? FROM turns t WHERE t.id = ? RETURNING number",
        (now, body, turn),
    ).fetchall()
    if not kept:
        raise LookupError(f"there is no turn {turn!r}: what is to be kept of it has nowhere to go")


def _begin(connection: Connection, turn: str, record: TurnBegan, now: float, epoch: int) -> None:
    begun = connection.execute(
        "INSERT INTO turns (id, agent, conversation, state, attempts, epoch, began, changed, owed)"
        " VALUES (?, ?, ?, 'open', 1, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING number",
        (turn, record.agent, _plain(record.conversation), epoch, now, now, record.remember),
    ).fetchall()
    if not begun:
        raise BegunAlready(turn)


def _plain(text: str) -> str:
    """Without half surrogate pairs, which no database keeps."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _forget(connection: Connection, now: float, retention: Retention) -> int:
    """Some of what may go: others write in between."""
    (last,) = connection.execute("SELECT max(changed) FROM turns").fetchone()
    before = min(now, (last or now) + DAY) - retention.keep
    connection.execute("DELETE FROM letters WHERE seen < ?", (before,))
    delete = (
        "DELETE FROM turns WHERE number IN (SELECT number FROM turns WHERE state = 'ended' AND {} LIMIT ?) RETURNING 1"
    )
    if gone := connection.execute(delete.format("changed < ? AND NOT owed"), (before, TOO_OLD)).fetchall():
        return len(gone)
    # What began after one that is open may be a part of it, whose result will be asked for; unless that is given up.
    parts = "number < (SELECT coalesce(min(number), {}) FROM turns WHERE state = 'open' AND began >= ?) ORDER BY number"
    one = delete.format(parts.format(2**62))
    count = 0
    while count < TOO_MUCH and _used(connection) > retention.size:
        if not connection.execute(one, (before, 1)).fetchall():
            break
        count += 1
    return count


def _used(connection: Connection) -> int:
    (used,) = connection.execute(
        "SELECT (p.page_count - f.freelist_count) * s.page_size"
        " FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s"
    ).fetchone()
    return int(used)
