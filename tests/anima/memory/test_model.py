"""Whatever is done to memory, it holds what a simple model of it holds."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from anima.memory import Memories, open_memory

START = datetime(2026, 5, 20, tzinfo=UTC)
AGENTS = {"ada": ("team:red",), "bob": ("team:red", "team:blue"), "eve": ()}
TEXTS = ("tea", "tea with milk", "rice")

agents = st.sampled_from(sorted(AGENTS))
runs = st.sampled_from(["", "r", "s"])
steps = st.one_of(
    st.tuples(
        st.just("remember"),
        agents,
        st.sampled_from(TEXTS),
        st.sampled_from([None, "k"]),
        st.booleans(),
        runs,
        st.sampled_from(["", "", "once"]),
    ),
    st.tuples(st.just("forget"), agents, st.integers(0, 8) | st.just("k"), runs),
    st.tuples(st.just("undo"), agents, st.sampled_from(["r", "s"])),
    st.tuples(st.just("reopen")),
)


@attrs.define
class Sighting:
    run: str
    at: datetime
    once: str


@attrs.define
class Row:
    """A memory of the model. The first sighting is the one that wrote it."""

    id: int
    agent: str
    scope: str
    key: str | None
    text: str
    sightings: list[Sighting]
    forgotten_by: str | None = None

    @property
    def same(self) -> tuple[str, str, str | None, str]:
        return self.agent, self.scope, self.key, self.text

    @property
    def last(self) -> datetime:
        return max(sighting.at for sighting in self.sightings)


class Model:
    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.made = 0

    @property
    def alive(self) -> list[Row]:
        return [row for row in self.rows if row.forgotten_by is None]

    def visible(self, agent: str) -> list[Row]:
        return [r for r in self.alive if (r.scope == "agent" and r.agent == agent) or r.scope in AGENTS[agent]]

    def remember(self, row: Row, sighting: Sighting) -> int:
        for other in self.alive:
            if sighting.once and other.agent == row.agent and sighting.once in [s.once for s in other.sightings]:
                return other.id
        for other in self.alive:
            if other.same == row.same:
                other.sightings.append(sighting)
                return other.id
        self.made += 1
        row.id = self.made
        row.sightings.append(sighting)
        self.rows.append(row)
        return row.id

    def forget(self, agent: str, which: int | str, run: str) -> int:
        found = [r for r in self.visible(agent) if r.agent == agent and which in (r.id, r.key)]
        for row in found:
            if run:
                row.forgotten_by = run
            else:
                self.rows.remove(row)
        return len(found)

    def undo(self, agent: str, run: str) -> None:
        mine = [row for row in self.rows if row.agent == agent]
        forgotten = [row for row in mine if row.forgotten_by == run]
        for row in forgotten:
            again = next((other for other in self.alive if other.same == row.same), None)
            if again is None:
                row.forgotten_by = None
            else:
                again.sightings.extend(row.sightings)
                self.rows.remove(row)
        for row in [row for row in self.rows if row.agent == agent]:
            row.sightings = [sighting for sighting in row.sightings if sighting.run != run]
            if not row.sightings:
                self.rows.remove(row)


class Both:
    """Memory and its model, and the time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.model = Model()
        self.now = START
        self.memories: Memories
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        await self._stack.aclose()
        self.memories = await self._stack.enter_async_context(open_memory(self.path, clock=lambda: self.now))

    async def close(self) -> None:
        await self._stack.aclose()

    async def remember(self, agent: str, text: str, key: str | None, shared: bool, run: str, once: str) -> None:
        scope = "team:red" if shared and AGENTS[agent] else "agent"
        kept = await self._of(agent).remember(text, key=key, scope=scope, run=run, once=once)
        expected = self.model.remember(Row(0, agent, scope, key, text, []), Sighting(run, self.now, once))
        assert kept.id == expected

    async def forget(self, agent: str, which: int | str, run: str) -> None:
        assert await self._of(agent).forget(which, run=run) == self.model.forget(agent, which, run)

    async def undo(self, agent: str, run: str) -> None:
        await self._of(agent).undo(run)
        self.model.undo(agent, run)

    async def reopen(self) -> None:
        await self.open()

    async def compare(self) -> None:
        for agent in AGENTS:
            memory = self._of(agent)
            rows = self.model.visible(agent)
            found = await memory.entries(limit=1000)
            assert [(m.id, m.agent, m.scope, m.key, m.text) for m in reversed(found)] == [
                (row.id, row.agent, row.scope, row.key, row.text) for row in rows
            ]
            assert [(m.count, m.last) for m in reversed(found)] == [(len(r.sightings), r.last) for r in rows]
            recalled = await memory.recall("Who likes tea?", limit=1000)
            assert {each.memory.id for each in recalled} == {row.id for row in rows if "tea" in row.text}
            noted = await memory.get("k")
            assert (noted and noted.id) == max((row.id for row in rows if row.key == "k"), default=None)

    def _of(self, agent: str) -> Any:
        return self.memories.of(agent, AGENTS[agent])


@settings(max_examples=settings().max_examples if settings().max_examples > 100 else 40)
@given(st.lists(steps, max_size=25))
def test_it_holds_what_the_model_holds(steps: list[tuple[Any, ...]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            both = Both(Path(folder) / "memory.db")
            await both.open()
            try:
                for name, *arguments in steps:
                    both.now += timedelta(minutes=1)
                    step: Callable[..., Awaitable[None]] = getattr(both, name)
                    await step(*arguments)
                    await both.compare()
            finally:
                await both.close()

    trio.run(run)
