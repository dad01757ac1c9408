"""What it costs that agents endure: durable steps, the loop meanwhile, going on with parked turns, starting up.

    python tests/benchmarks/journal.py [--seconds 3] [--folder FOLDER]

Models answer at once, from this process: what is left is the agent, its journal and the disk. A step is a call of the
model or of a tool; each is recorded before and after, and each record is on the disk before the next thing is done.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio

from anima.actors import System, open_system
from anima.agents import JOURNAL, Agent, AgentSpec, Home, StopReason, StoreJournal, Task, journal_file, list_runs
from anima.agents._codec import Codec
from anima.agents._records import ModelAnswered, ModelCalled, Record, Told, TurnBegan, TurnEnded, Why
from anima.llm import (
    AssistantMessage,
    Finish,
    FinishReason,
    IncidentHook,
    Model,
    ModelEvent,
    ModelRequest,
    ModelSpec,
    Text,
    TextDelta,
    ToolCallDelta,
)
from anima.store import Connection, open_store
from anima_tools import Effect, Toolbox, Workspace, tool

#: Tool calls of one turn.
CALLS = 8


@tool(effect=Effect.PURE)
async def count(number: int) -> int:
    """Count on."""
    return number + 1


class Counting:
    """A model that calls the tool so many times, and then answers."""

    name = "counting"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        done = sum(isinstance(message, AssistantMessage) for message in request.messages)
        await trio.lowlevel.checkpoint()
        if done % (CALLS + 1) < CALLS:
            yield ToolCallDelta(0, f"c{done}", "count", f'{{"number": {done}}}')
            yield Finish(FinishReason.TOOL_CALLS)
        else:
            yield TextDelta("That is all.")
            yield Finish(FinishReason.STOP)


@attrs.frozen
class Source:
    model: Model

    def get(self, spec: ModelSpec, *, on_incident: IncidentHook | None = None) -> Model:
        return self.model


@asynccontextmanager
async def home_in(folder: Path) -> AsyncGenerator[tuple[Home, System], None]:
    async with (
        open_store(journal_file(folder, "bench"), JOURNAL, owner="a benchmark") as store,
        open_system() as system,
    ):
        yield Home(Source(Counting()), StoreJournal(store)), system


def agent(name: str) -> AgentSpec:
    nowhere = Workspace(Path("/nonexistent"), Path("/nonexistent/outputs"), env={})
    return AgentSpec(
        name=name, model=ModelSpec(provider="scripted"), toolbox=Toolbox([count]), workspace=nowhere, repeat_limit=0
    )


class Lag:
    """How late the loop is, looked at every few milliseconds."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def look(self) -> None:
        while True:
            began = time.perf_counter()
            await trio.sleep(0.002)
            self.seconds.append(time.perf_counter() - began - 0.002)

    def at(self, share: float) -> str:
        return f"{sorted(self.seconds)[int(share * (len(self.seconds) - 1))] * 1000:.1f}"


async def writes(folder: Path, tasks: int, seconds: float) -> Sequence[object]:
    """Records that the journal alone keeps in a second, for so many tasks that each wait for theirs."""
    kept = 0
    async with open_store(journal_file(folder, "bench"), JOURNAL, owner="a benchmark") as store:
        journal = StoreJournal(store)

        async def keep(n: int) -> None:
            nonlocal kept
            await journal.append(f"t{n}", [TurnBegan(task="a task", conversation=f"c{n}")])
            while True:
                await journal.append(f"t{n}", [ModelCalled(step=1, told=(Told(Why.TASK, "a task"),))])
                kept += 1

        with trio.move_on_after(seconds):
            async with trio.open_nursery() as nursery:
                for n in range(tasks):
                    nursery.start_soon(keep, n)
    return tasks, f"{kept / seconds:,.0f}"


async def steps(folder: Path, agents: int, seconds: float) -> Sequence[object]:
    """Durable steps a second of so many agents that think at once."""
    async with home_in(folder) as (home, system):
        refs = [await system.spawn(f"a{n}", Agent, agent(f"a{n}"), home) for n in range(agents)]
        done, lag = 0, Lag()
        async with trio.open_nursery() as nursery:

            async def work(n: int) -> None:
                nonlocal done
                for turn in range(1_000_000):
                    answer = await refs[n].ask(Task("count", f"c{turn}"), timeout=120)
                    assert answer.complete, answer
                    done += answer.steps

            for n in range(agents):
                nursery.start_soon(work, n)
            await trio.sleep(seconds / 6)
            store = home.journal.store  # type: ignore[attr-defined]
            before, began = await _records(store), time.perf_counter()
            nursery.start_soon(lag.look)
            await trio.sleep(seconds)
            took = time.perf_counter() - began
            records = await _records(store) - before
            nursery.cancel_scope.cancel()
        # Each step has two records; the two of a turn itself are not counted as one.
        share = 2 * (2 * CALLS + 1) / (2 * (2 * CALLS + 1) + 2)
        return agents, f"{records * share / 2 / took:,.0f}", f"{records / took:,.0f}", lag.at(0.5), lag.at(0.99)


async def _records(store: object) -> int:
    def count_them(connection: Connection) -> int:
        (number,) = connection.execute("SELECT count(*) FROM records").fetchone()
        return int(number)

    return int(await store.read(count_them))  # type: ignore[attr-defined]


async def resume(folder: Path, turns: int) -> Sequence[object]:
    """Turns that were parked in the middle, one of each agent: from opening the journal to the last answer."""
    file = journal_file(folder, "bench")
    async with open_store(file, JOURNAL, owner="the program before") as store:
        journal = StoreJournal(store)
        home = Home(Source(Counting()), journal)
        async with open_system() as system, trio.open_nursery() as nursery:
            refs = [await system.spawn(f"a{n}", Agent, agent(f"a{n}"), home) for n in range(turns)]
            for n, ref in enumerate(refs):
                nursery.start_soon(lambda ref=ref, n=n: ref.ask(Task("count", id=f"t{n}"), timeout=120))  # type: ignore[misc]
            while len(await list_runs(store)) < turns:  # noqa: ASYNC110 -- it looks from outside
                await trio.sleep(0.01)
            home.park()
        parked = [run for run in await list_runs(store) if run.state == "open"]
    began = time.perf_counter()
    async with home_in(folder) as (home, system):
        for n in range(turns):
            await system.spawn(f"a{n}", Agent, agent(f"a{n}"), home)
        started = time.perf_counter()
        store = home.journal.store  # type: ignore[attr-defined]
        lag = Lag()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lag.look)
            while any(run.state == "open" for run in await list_runs(store)):  # noqa: ASYNC110 -- as above
                await trio.sleep(0.05)
            nursery.cancel_scope.cancel()
        took = time.perf_counter() - began
    return len(parked), f"{started - began:.2f} s", f"{took:.2f} s", lag.at(0.99)


async def start(folder: Path, turns: int, conversations: str) -> Sequence[object]:
    """From opening a journal with so many turns that have ended to the first answer."""
    file = journal_file(folder, "bench")
    codec = Codec()
    async with open_store(file, JOURNAL, owner="the program before") as store:

        def fill(connection: Connection) -> None:
            for n in range(turns):
                conversation = "main" if conversations == "one" else f"run-{n}"
                connection.execute(
                    "INSERT INTO turns (id, agent, conversation, state, attempts, epoch, began, changed, stop_reason)"
                    " VALUES (?, 'home/ada', ?, 'ended', 1, 1, 0, 0, 'end_turn')",
                    (f"t{n}", conversation),
                )
                rows = [(n + 1, m, 0.0, codec.encode(record)) for m, record in enumerate(_ended(conversation), 1)]
                connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)

        if turns:
            await store.write(fill)
    began = time.perf_counter()
    async with home_in(folder) as (home, system):
        opened = time.perf_counter()
        ada = await system.spawn("ada", Agent, agent("ada"), home)
        answer = await ada.ask(Task("count"), timeout=120)
        answered = time.perf_counter()
        assert answer.text
        store = home.journal.store  # type: ignore[attr-defined]
        await list_runs(store)
        listed = time.perf_counter()
    return (
        f"{turns:,}",
        conversations,
        f"{(opened - began) * 1000:.0f} ms",
        f"{(answered - opened) * 1000:.0f} ms",
        f"{(listed - answered) * 1000:.0f} ms",
    )


def _ended(conversation: str) -> list[Record]:
    message = AssistantMessage((Text("An answer of a few words."),))
    return [
        TurnBegan(task="a task", conversation=conversation, agent="home/ada"),
        ModelCalled(step=1, told=(Told(Why.TASK, "a task"),)),
        ModelAnswered(step=1, message=message, finish=Finish(FinishReason.STOP)),
        TurnEnded(stop_reason=StopReason.END_TURN, text="An answer of a few words."),
    ]


def syncs(folder: Path) -> float:
    """Milliseconds that the disk needs to have one small write for sure: the least that a step can take is two."""
    import os

    times = []
    with open(folder / "sync", "wb") as file:
        for _ in range(50):
            began = time.perf_counter()
            file.write(b"x" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


def table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    print("\n| " + " | ".join(heads) + " |\n|" + " ---: |" * len(heads))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each number of agents works")
    parser.add_argument("--folder", type=Path, help="where the journals are: on the disk that is to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        print(f"Python {platform.python_version()}, Trio {trio.__version__}; one sync: {syncs(folder):.2f} ms")
        rows = [trio.run(writes, folder / f"writes-{n}", n, options.seconds) for n in (1, 8, 64, 512)]
        table(["tasks", "records/s by the journal alone"], rows)
        rows = [trio.run(steps, folder / f"steps-{n}", n, options.seconds) for n in (1, 8, 64, 512)]
        table(["agents", "durable steps/s", "records/s", "loop lag p50, ms", "p99, ms"], rows)
        table(
            ["parked turns", "until all agents stand", "until all have ended", "loop lag p99, ms"],
            [trio.run(resume, folder / "resume", 1000)],
        )
        rows = [
            trio.run(start, folder / f"start-{n}-{kind}", n, kind)
            for n, kind in ((0, "each its own"), (10_000, "each its own"), (10_000, "one"))
        ]
        table(["old turns", "conversations", "opening", "first answer", "listing runs"], rows)


if __name__ == "__main__":
    main()
