"""A tree of agents that is killed again and again, and what it leaves.

As a program it starts lives of the tree and says how each ended: a line of JSON on stdin for each, one on stdout back.

    {"folder": ".../7", "url": "http://127.0.0.1:...", "round": 7, "at": "after append ToolCalled", "nth": 1}

It is killed with SIGKILL by itself at the `nth` crossing of `at` (of any point, where that is empty), or from outside
after `seconds`; `park` asks it to stop in order after so many seconds. A life forks from here: nothing is shared but
the code. What it does is written down, in its folder, before and after it is done:

- `effects`: what tools did to the world; - `kept`: the records that the journal has acknowledged;
- `points`: the points that were crossed, and where it was killed
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import trio

sys.path.insert(0, str(Path(__file__).parents[3]))

from anima.actors import open_system
from anima.agents import (
    JOURNAL,
    Agent,
    AgentSpec,
    Home,
    Journal,
    Letter,
    MemorySpec,
    Note,
    Record,
    Spawned,
    Spent,
    StoreJournal,
    Task,
    TimerSpec,
    journal_file,
    list_runs,
)
from anima.agents._codec import Codec
from anima.agents._home import OpenMemories
from anima.hub import Hub
from anima.llm import ModelSpec, open_models
from anima.store import Store, open_store
from anima_tools import Effect, Invocation, Tool, Toolbox, Workspace, tool

#: How a life ends by itself: all is done, or it was parked.
DONE, PARKED = 0, 4
#: So long, in seconds, a life may take that is not killed.
LONGEST = 8.0
NAME = "tree"


@attrs.define
class Watch:
    """Writes down what happens, and kills."""

    folder: Path
    at: str
    nth: int
    _crossed: int = 0

    def note(self, file: str, **facts: Any) -> None:
        """One write: with SIGKILL it is there or not, and never half."""
        descriptor = os.open(self.folder / file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, (json.dumps(facts) + "\n").encode())
        os.close(descriptor)

    def cross(self, point: str) -> None:
        self.note("points", crossed=point)
        if self.at in ("", point):
            self._crossed += 1
            if self._crossed == self.nth:
                self.note("points", killed=point)
                os.kill(os.getpid(), signal.SIGKILL)


class Killing:
    """A journal with a point before and after each write."""

    def __init__(self, journal: Journal, watch: Watch) -> None:
        self._journal = journal
        self._watch = watch
        self._codec = Codec()

    async def append(self, turn: str, records: Sequence[Record], taken: Sequence[str] = ()) -> None:
        name = "append " + "+".join(sorted({type(record).__name__ for record in records}))
        self._watch.cross(f"before {name}")
        await self._journal.append(turn, records, taken)
        self._watch.note("kept", turn=turn, bodies=[self._codec.encode(record) for record in records])
        self._watch.cross(f"after {name}")

    async def attempt(self, turn: str) -> int:
        self._watch.cross("before attempt")
        count = await self._journal.attempt(turn)
        self._watch.cross("after attempt")
        return count

    async def park(self, turn: str) -> None:
        self._watch.cross("before park")
        await self._journal.park(turn)
        self._watch.cross("after park")

    async def failed(self, turn: str, error: str) -> None:
        await self._journal.failed(turn, error)

    async def put_aside(self, turn: str, error: str) -> None:
        self._watch.cross("before put_aside")
        await self._journal.put_aside(turn, error)
        self._watch.cross("after put_aside")

    async def remembered(self, turn: str) -> None:
        self._watch.cross("before remembered")
        await self._journal.remembered(turn)
        self._watch.cross("after remembered")

    async def keep_spawned(self, agent: str, turn: str, spawned: Spawned) -> None:
        self._watch.cross("before keep_spawned")
        await self._journal.keep_spawned(agent, turn, spawned)
        self._watch.cross("after keep_spawned")

    async def post(self, agent: str, letter: Letter) -> bool:
        self._watch.cross("before post")
        new = await self._journal.post(agent, letter)
        self._watch.cross("after post")
        return new

    async def set_due(self, agent: str, timer: str, due: float) -> None:
        self._watch.cross("before set_due")
        await self._journal.set_due(agent, timer, due)
        self._watch.cross("after set_due")

    async def records(self, turn: str) -> tuple[Record, ...]:
        return await self._journal.records(turn)

    async def turns(self, agent: str, conversation: str) -> tuple[str, ...]:
        return await self._journal.turns(agent, conversation)

    async def unfinished(self, agent: str) -> tuple[str, ...]:
        return await self._journal.unfinished(agent)

    async def unremembered(self, agent: str) -> Mapping[str, float | None]:
        return await self._journal.unremembered(agent)

    async def spawned(self, agent: str, *, now_open: bool) -> tuple[Spawned, ...]:
        return await self._journal.spawned(agent, now_open=now_open)

    async def letters(self, agent: str) -> tuple[Letter, ...]:
        return await self._journal.letters(agent)

    async def spent(self) -> Mapping[str, Spent]:
        return await self._journal.spent()

    async def due(self, agent: str, timer: str) -> float | None:
        return await self._journal.due(agent, timer)


def tools(watch: Watch) -> list[Tool]:
    """A tool of each effect; what they do to the world is a line in a file."""

    async def act(kind: str, what: str, key: str) -> None:
        watch.cross(f"before {kind} effect")
        watch.note("effects", kind=kind, what=what, key=key, life=os.getpid())
        watch.cross(f"after {kind} effect")
        await trio.lowlevel.checkpoint()

    async def send(what: str, invocation: Invocation) -> str:
        """Send something away."""
        await act("external", what, invocation.key)
        return f"sent by life {os.getpid()}"

    async def put(what: str, invocation: Invocation) -> str:
        """Put something where it belongs; with the same key it is there once."""
        await act("keyed", what, invocation.key)
        return f"{what} is there"

    async def double(number: int, invocation: Invocation) -> int:
        """Double a number."""
        await act("pure", str(number), invocation.key)
        return 2 * number

    return [
        tool(send, effect=Effect.EXTERNAL),
        tool(put, effect=Effect.IDEMPOTENT),
        tool(double, effect=Effect.PURE),
    ]


async def live(folder: Path, url: str, round: int, watch: Watch, park: float | None) -> int:
    """One life of the tree: on with what is left, until all is done."""
    randomness = random.Random(round)
    async with (
        open_store(journal_file(folder, NAME), JOURNAL, owner="the kill loop") as store,
        open_models(random=randomness) as models,
        contextlib.AsyncExitStack() as stack,
        open_system() as system,
    ):
        inner = StoreJournal(store)
        home = Home(models, Killing(inner, watch), randomness, memories=OpenMemories(stack))
        if await inner.due("home/clock", "what time is it?") is None:
            await inner.set_due("home/clock", "what time is it?", time.time())

        def agent(name: str, **fields: Any) -> AgentSpec:
            return AgentSpec(
                name=name,
                persona=f"You are {name} of round {round}.",
                model=ModelSpec(provider="openai", model="test", base_url=url),
                toolbox=Toolbox(tools(watch)),
                talk=frozenset({"ask_agent", "tell_agent", "spawn_agent", "publish"}),
                workspace=Workspace(folder, folder / "outputs", env={}),
                attempts=1000,  # to be killed is nothing that it does
                **fields,
            )

        memory = MemorySpec(path=folder / "ada.memory", auto=True)
        for spec in (
            agent("ada", memory=memory),
            agent("bob"),
            agent("clock", timers=(TimerSpec(3600, "what time is it?"),)),
        ):
            ref = await system.spawn(spec.name, Agent, spec, home)
            if spec.name == "bob":
                Hub.of(system).subscribe(ref, "news", Note)
        boss = await system.spawn("boss", Agent, agent("boss"), home)
        async with trio.open_nursery() as nursery:
            if park is not None:
                nursery.start_soon(_park, home, park)
            answer = await boss.ask(Task(f"begin round {round}", id=f"round-{round}"), timeout=LONGEST)
            done = answer.complete and await _all_ended(store)
            nursery.cancel_scope.cancel()
        return DONE if done else PARKED


async def _park(home: Home, seconds: float) -> None:
    await trio.sleep(seconds)
    home.park()


async def _all_ended(store: Store) -> bool:
    """Wait until no turn is open, no letter unseen and the timer has come; False if it does not come to that."""
    with trio.move_on_after(LONGEST / 2):
        while True:
            runs = await list_runs(store)
            (letters,) = await store.read(
                lambda connection: connection.execute("SELECT count(*) FROM letters WHERE seen IS NULL").fetchone()
            )
            (owed,) = await store.read(lambda it: it.execute("SELECT count(*) FROM turns WHERE owed").fetchone())
            ticked = any(run.agent == "home/clock" for run in runs)
            if ticked and not letters and not owed and all(run.state == "ended" for run in runs):
                return True
            await trio.sleep(0.01)
    return False


def begin(order: dict[str, Any]) -> dict[str, Any]:
    """Fork a life and wait for its end."""
    folder = Path(order["folder"])
    watch = Watch(folder, order.get("at", ""), order.get("nth", 0))
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.dup2(os.open(folder / "said", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 2)
            status = trio.run(live, folder, order["url"], order["round"], watch, order.get("park"))
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(status)
    descriptor = os.pidfd_open(pid)
    ready, _, _ = select.select([descriptor], [], [], order.get("seconds", LONGEST + 5))
    if not ready:
        os.kill(pid, signal.SIGKILL)
    os.close(descriptor)
    _, status = os.waitpid(pid, 0)
    return {"status": os.waitstatus_to_exitcode(status), "late": not ready and "seconds" not in order}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(begin(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
