"""Memory, opened: one database for an agent, or for several that share some of it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import trio

from anima.store import Store, StoreBusy, StoreReadOnly, open_store

from ._rows import check_scope
from ._schema import SCHEMA
from ._vectors import Embedder, SmallEmbedder, Vectors
from ._view import AgentMemory
from ._writing import purge

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class Memories:
    """A database of memories. Made by `open_memory`; several programs may have the same one open."""

    def __init__(self, store: Store, clock: Clock, vectors: Vectors | None) -> None:
        #: what it is kept in: for backups and checks
        self.store = store
        self._clock = clock
        self._vectors = vectors

    def of(self, agent: str, scopes: Iterable[str] = ()) -> AgentMemory:
        """The memory of one agent: its own, and what is shared with its `scopes`, each "team:NAME".

        Raises `BadMemory`.
        """
        shared: Sequence[str] = tuple(dict.fromkeys(scopes))
        for scope in shared:
            check_scope(scope)
        return AgentMemory(self.store, agent, shared, self._clock, self._vectors)


@contextlib.asynccontextmanager
async def open_memory(
    path: Path | None,
    *,
    semantic: bool = False,
    embedder: Embedder | None = None,
    clock: Clock = wall_clock,
) -> AsyncIterator[Memories]:
    """Open the memories at `path`, and make the file where there is none; None: in RAM, gone at the end.

    With `semantic` they are also found by meaning, which takes the extra `semantic`, 200 MB of RAM and about 20 ms for
    each text, in a thread; or with an `embedder` of your own. What was remembered without is found by its words, until
    `AgentMemory.learn_meanings`. `clock` tells the time, in UTC.

    Raises `SemanticMissing`, and what `anima.store.open_store` raises.
    """
    if semantic and embedder is None:
        embedder = await trio.to_thread.run_sync(SmallEmbedder, abandon_on_cancel=True)
    async with open_store(path, SCHEMA) as store:
        now = clock().timestamp()
        with contextlib.suppress(StoreBusy, StoreReadOnly):  # it can be done another time, or by somebody else
            await store.write(lambda connection: purge(connection, now))
        yield Memories(store, clock, None if embedder is None else Vectors(embedder))
