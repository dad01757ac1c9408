"""What one agent remembers: the interface that agents, tools and commands use."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import datetime

import trio

from anima.store import Connection, Store

from ._errors import BadMemory
from ._exchange import from_line, to_line
from ._injection import estimate_tokens, inject
from ._rows import Memory, NewMemory, Recalled, Source, Trust, default_trust, mended
from ._schema import COLUMNS, row_of, space_of
from ._search import recall
from ._vectors import Vectors
from ._words import words
from ._writing import forget, remember, undo

#: How many memories are written in one transaction: others wait for it.
TOGETHER = 500
#: How many texts are encoded at once: it cannot be interrupted.
ENCODED = 16


class AgentMemory:
    """The memory of one agent: what it wrote itself, and what others share with its scopes. Made by `Memories.of`.

    All methods raise what the store below raises (`anima.store.StoreError`). Cancelled, a method that writes has
    written nothing, or all: see `anima.store.Store.write`.
    """

    def __init__(
        self,
        store: Store,
        agent: str,
        scopes: Sequence[str],
        clock: Callable[[], datetime],
        vectors: Vectors | None,
    ) -> None:
        self._store = store
        #: whose it is
        self.agent = agent
        #: what it shares with others: "team:NAME"
        self.scopes = tuple(scopes)
        self._clock = clock
        self._vectors = vectors
        self._threads = trio.CapacityLimiter(1)
        own = space_of(mended(agent), "agent")
        self._spaces = (own, *(mended(scope) for scope in self.scopes if scope != "agent"))

    def __repr__(self) -> str:
        return f"<AgentMemory of {self.agent}>"

    # Writing

    async def remember(
        self,
        text: str,
        *,
        key: str | None = None,
        source: Source = Source.MODEL,
        trust: Trust | None = None,
        run: str = "",
        conversation: str = "",
        speaker: str = "",
        at: datetime | None = None,
        importance: float = 1.0,
        scope: str = "agent",
        chosen: bool = True,
        once: str = "",
    ) -> Memory:
        """Remember something; see `NewMemory` for what is what. On the disk when it returns.

        An exact duplicate is counted and dated, not written twice. What contradicts another memory is kept beside it:
        both have their dates. Raises `BadMemory`; one that is shared must be so with a scope that the agent has.
        """
        new = NewMemory(
            text,
            key=key,
            source=source,
            trust=default_trust(source) if trust is None else trust,
            run=run,
            conversation=conversation,
            speaker=speaker,
            at=at,
            importance=importance,
            scope=scope,
            chosen=chosen,
            once=once,
        )
        self._check_scopes([new])
        write = await self._writing([new])

        def work(connection: Connection) -> Memory:
            (id,) = write(connection)
            return self._select(connection, "m.id = ?", (id,), "")[0]

        return await self._store.write(work)

    async def remember_many(self, new: Iterable[NewMemory]) -> list[int]:
        """Remember many things, in order; their ids, that of an earlier one for a duplicate.

        In transactions of some hundred each: cancelled, or with an error, the first ones may be there. Raises
        `BadMemory` before anything is written.
        """
        all = list(new)
        self._check_scopes(all)
        ids: list[int] = []
        size = TOGETHER if self._vectors is None else ENCODED
        for first in range(0, len(all), size):
            ids += await self._store.write(await self._writing(all[first : first + size]))
        return ids

    async def forget(self, which: int | str, *, run: str = "") -> int:
        """Forget a memory by its id, or all notes with a key; how many that were. Only what the agent wrote itself.

        With a `run` it is kept out of sight for 30 days, so that `undo` can bring it back; without, it is gone at once.
        """
        now = self._now()
        agent, name = mended(self.agent), mended(run)
        target = which if isinstance(which, int) else mended(which)
        if isinstance(target, int) and not -(2**63) <= target < 2**63:
            return 0
        return await self._store.write(lambda connection: forget(connection, agent, self._spaces, target, name, now))

    async def undo(self, run: str) -> int:
        """Take back what one run of this agent wrote, counted once more and forgot; how many memories that changed.

        What others have remembered as well stays, as theirs. Raises `BadMemory` for a run without a name.
        """
        if not run:
            raise BadMemory("undo takes the name of a run")
        agent, name = mended(self.agent), mended(run)
        return await self._store.write(lambda connection: undo(connection, agent, name))

    async def learn_meanings(self) -> int:
        """Make vectors for what was remembered without; how many. 20 ms for each; cancelled, it can go on later."""
        if self._vectors is None:
            return 0
        done = last = 0
        while True:
            rows = await self._store.read(functools.partial(self._without_vector, last))
            if not rows:
                return done
            vectors = await self._encode(rows)
            pairs = [(row.id, vector) for row, vector in zip(rows, vectors, strict=True)]
            await self._store.write(functools.partial(_add_vectors, pairs))
            done += len(rows)
            last = rows[-1].id

    # Reading

    async def recall(self, query: str, *, limit: int = 10, now: datetime | None = None) -> list[Recalled]:
        """The memories that answer a query best, the best first. Takes any text, in any language; none may match.

        Ranked by words, by what was said around them, by who said it, and a little by age and importance; by meaning
        too, if memory was opened so. A query may name a time: "yesterday", "last week", "2023-05", "in May".
        """
        moment = now or self._clock()
        if limit < 1:
            return []

        def work(connection: Connection) -> list[Recalled]:
            alike = None if self._vectors is None else self._vectors.alike(connection, self._spaces, query)
            return recall(connection, self._spaces, mended(query), limit, moment, alike)

        return await self._store.read(work)

    async def inject(
        self,
        query: str,
        budget_tokens: int,
        *,
        count: Callable[[str], int] = estimate_tokens,
        limit: int = 30,
        leave_out: Callable[[Memory], bool] | None = None,
    ) -> str:
        """What of memory belongs into a prompt about `query`, within a budget; "" if nothing does.

        Each line is dated, names its source and is quoted as data: a memory cannot leave its quotes. `count` says how
        many tokens a text has, `leave_out` what is known all the same.
        """
        found = await self.recall(query, limit=limit if leave_out is None else 4 * limit)
        kept = found if leave_out is None else [one for one in found if not leave_out(one.memory)]
        return inject(kept[:limit], budget_tokens, count)

    async def get(self, key: str) -> Memory | None:
        """The newest note with this key, of its own or of its scopes; older ones are in `entries(key=...)`."""
        notes = await self.entries(key=key, limit=1)
        return notes[0] if notes else None

    async def show(self, id: int) -> Memory | None:
        """The memory with this id; None if there is none, or if it is none of this agent's."""
        if not -(2**63) <= id < 2**63:
            return None
        found = await self._store.read(lambda connection: self._select(connection, "m.id = ?", (id,), ""))
        return found[0] if found else None

    async def entries(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        key: str | None = None,
        run: str | None = None,
        conversation: str | None = None,
    ) -> list[Memory]:
        """Memories, those remembered last first; `before` is the id of the last one of the page before."""
        wanted = {"key": key, "run": run, "conversation": conversation}
        given = {name: mended(value) for name, value in wanted.items() if value is not None}
        where = ["1", *(f"m.{name} = ?" for name in given)]
        if run:
            where.append("m.run <> ''")  # which its index asks for
        values: list[object] = list(given.values())
        if before is not None:
            where.append("m.id < ?")
            values.append(before)
        order = f"ORDER BY m.id DESC LIMIT {max(0, limit)}"
        within = key is not None or conversation is not None
        return await self._store.read(
            lambda connection: self._select(connection, " AND ".join(where), values, order, within=within)
        )

    async def search(self, text: str, *, limit: int = 50) -> list[Memory]:
        """The memories that have these words in a row, those remembered last first: to find, not to rank."""
        phrase = " ".join(words(mended(text)))
        if not phrase:
            return []
        inside = "m.id IN (SELECT rowid FROM memory_words WHERE memory_words MATCH ?)"
        order = f"ORDER BY m.id DESC LIMIT {max(0, limit)}"
        return await self._store.read(lambda connection: self._select(connection, inside, (f'"{phrase}"',), order))

    # Coming and going

    async def export_lines(self) -> AsyncIterator[str]:
        """All that the agent wrote, the oldest first, as lines of JSON without their ends.

        In pages: what is remembered meanwhile comes too. Use `contextlib.aclosing` if you may not go to its end.
        """
        last = 0
        while True:
            page = await self._store.read(functools.partial(self._written_after, last))
            if not page:
                return
            for memory in page:
                yield to_line(memory)
            last = page[-1].id

    async def import_lines(self, lines: Iterable[str]) -> int:
        """Remember what `export_lines` gave, as this agent's; how many lines. The same line again changes nothing.

        Raises `BadMemory`, with the number of the line, before anything is written.
        """
        new = [from_line(line, number) for number, line in enumerate(lines, 1) if line.strip()]
        return len(await self.remember_many(new))

    # Behind

    def _now(self) -> float:
        return self._clock().timestamp()

    def _check_scopes(self, new: Iterable[NewMemory]) -> None:
        for each in new:
            if each.scope != "agent" and each.scope not in self._spaces:
                has = ", ".join(self._spaces[1:]) or "none"
                raise BadMemory(f"{self.agent} does not share the scope {each.scope!r}; it has {has}")

    async def _writing(self, new: list[NewMemory]) -> Callable[[Connection], list[int]]:
        """The work that writes them; their vectors are made before."""
        now = self._now()
        agent = mended(self.agent)
        vectors: list[bytes] | None = None
        if self._vectors is not None:
            vectors = await self._encode(new)
        return lambda connection: remember(connection, agent, new, now, vectors)

    async def _encode(self, memories: Sequence[Memory | NewMemory]) -> list[bytes]:
        assert self._vectors is not None
        return await trio.to_thread.run_sync(
            self._vectors.encode, memories, abandon_on_cancel=True, limiter=self._threads
        )

    def _without_vector(self, after: int, connection: Connection) -> list[Memory]:
        missing = "m.id > ? AND NOT EXISTS (SELECT 1 FROM vector v WHERE v.memory = m.id)"
        return self._select(connection, missing, (after,), f"ORDER BY m.id LIMIT {ENCODED}")

    def _written_after(self, after: int, connection: Connection) -> list[Memory]:
        mine = (after, mended(self.agent))
        return self._select(connection, "m.id > ? AND m.agent = ?", mine, f"ORDER BY m.id LIMIT {TOGETHER}")

    def _select(
        self, connection: Connection, where: str, values: Sequence[object], order: str, *, within: bool = False
    ) -> list[Memory]:
        """Of what the agent may see. `within`: by an index that begins with the space, not by their ids."""
        space = "m.space" if within else "+m.space"  # by its + SQLite leaves such an index alone
        marks = ", ".join("?" * len(self._spaces))
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM memory m WHERE {space} IN ({marks}) AND m.forgotten_by IS NULL AND {where} {order}",
            (*self._spaces, *values),
        )
        return [row_of(row) for row in rows.fetchall()]


def _add_vectors(vectors: Sequence[tuple[int, bytes]], connection: Connection) -> None:
    """Of those memories that are still there."""
    connection.executemany(
        "INSERT OR IGNORE INTO vector (memory, data) SELECT id, ? FROM memory WHERE id = ?",
        [(data, id) for id, data in vectors],
    )
