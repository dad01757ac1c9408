"""What every candidate does: the rows of the table, what the server answers in them, and how they are measured.

A row is so many turns, one after another in each of so many agents. In all of them the model's answers are streamed,
each event by itself, and read as they come; tools are functions that return at once. What one operation costs beside
the others follows from the rows by difference: `DERIVED`.
"""

from __future__ import annotations

import functools
import gc
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import attrs

MODEL = "test-model-1"
SYSTEM = "You are Ada, a helpful and careful assistant. Use your tools where they help; say so when you do not know."

#: Seconds between the events of an answer, so that a client reads each by itself, however fast it is.
DRIP = 0.0005
#: Seconds before an answer that comes late: all agents are waiting for theirs at once.
LATE = 0.25
WORDS = 12
MANY_WORDS = 112
CALLS = 10
AGENTS = 100


@attrs.frozen
class Row:
    """A workload: `turns` in each of `agents`, each begun with `task`; and what one turn is."""

    turns: int
    task: str
    operation: str
    agents: int = 1

    @property
    def all_turns(self) -> int:
        return self.turns * self.agents


ROWS: dict[str, Row] = {
    "turn": Row(60, "say little", f"one call of the model, which answers with {WORDS} words"),
    "long": Row(12, "say much", f"one call of the model, which answers with {MANY_WORDS} words"),
    "tool_1": Row(40, f"count {CALLS - 1}", "2 calls of the model, 1 of a tool"),
    "tools_10": Row(12, "count 0", f"{CALLS + 1} calls of the model, {CALLS} of a tool in between"),
    "fan_10": Row(20, "count at once", f"2 calls of the model, {CALLS} of a tool, all in the first answer"),
    "agents_100": Row(
        4, "count late", f"as tool_1, the first answer after {LATE} s, in {AGENTS} agents at once", AGENTS
    ),
}

#: What is asked for by difference: the first row without the second, by so many operations.
DERIVED: dict[str, tuple[str, str, int, str]] = {
    "token": ("long", "turn", MANY_WORDS - WORDS, "one more streamed word"),
    "step": ("tools_10", "turn", CALLS, "one more call of a tool, with the call of the model that takes the result in"),
    "tool": ("fan_10", "tool_1", CALLS - 1, "one more call of a tool in the same answer"),
}


def counted(number: int) -> str:
    """What the tool returns: the script of the server goes by it."""
    return f"counted to {number}; next"


def script() -> list[dict[str, object]]:
    """The answers of the server, as its program reads them: the first that fits, over and over."""

    def call(number: int) -> dict[str, object]:
        return {"name": "count", "arguments": {"number": number, "why": "to go on"}}

    def answer(when: str, **fields: object) -> dict[str, object]:
        return {"when": when, "times": 0, "drip": DRIP, **fields}

    def words(count: int) -> str:
        return " ".join(f"word{number}" for number in range(count))

    return [
        answer("say little", text=words(WORDS)),
        answer("say much", text=words(MANY_WORDS)),
        answer(counted(CALLS), text=words(WORDS)),
        *(answer(counted(number), calls=[call(number + 1)]) for number in range(1, CALLS)),
        answer("count 0", calls=[call(1)]),
        answer(f"count {CALLS - 1}", calls=[call(CALLS)]),
        answer("count late", calls=[call(CALLS)], delay=LATE),
        answer("count at once", calls=[call(number) for number in range(1, CALLS + 1)]),
    ]


#: One turn of one agent: the task in; the answer, and how many pieces of it were seen on the way, out.
Turn = Callable[[str], Awaitable[tuple[str, int]]]
#: Makes the agent of that number.
MakeAgent = Callable[[int], Awaitable[Turn]]
#: Runs all of them at once, to their ends.
Together = Callable[[Sequence[Callable[[], Awaitable[None]]]], Awaitable[None]]


@attrs.frozen
class Figures:
    """What a row has cost the process of the client: CPU, of all threads, and wall time in µs a turn, memory in MB."""

    cpu: float
    wall: float
    #: at most, over the whole life of the process
    memory: float
    #: how much of that has come with the agents after the first one, for each of them
    memory_an_agent: float


async def measured(row: Row, warm_up: int, make: MakeAgent, together: Together) -> Figures:
    """Do the row, after `warm_up` turns of the first agent and one of each other, which are not measured."""

    async def work(turn: Turn, count: int) -> None:
        for _ in range(count):
            check(row, *await turn(row.task))

    async def all_work(turns: Sequence[Turn], count: int) -> None:
        await together([functools.partial(work, turn, count) for turn in turns])

    agents = [await make(0)]
    await all_work(agents, warm_up)
    gc.collect()
    before = resident()
    others = [await make(number) for number in range(1, row.agents)]
    await all_work(others, 1)
    agents += others
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    await all_work(agents, row.turns)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    more = (peak() - before) / len(others) if others else 0.0
    return Figures(cpu / row.all_turns * 1e6, wall / row.all_turns * 1e6, peak(), more)


def resident() -> float:
    """The memory of this process now, in MB; NaN where that is not told."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return float("nan")
    return pages * resource.getpagesize() / 1e6


def peak() -> float:
    """The most memory that this process has had, in MB."""
    try:  # what `getrusage` says on Linux may be that of the process which started this one
        status = Path("/proc/self/status").read_text()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most / 1e6 if sys.platform == "darwin" else most / 1e3
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024 / 1e6


def check(row: Row, answer: str, pieces: int) -> None:
    """A turn that went wrong, or was not streamed, is not measured."""
    words = MANY_WORDS if row.task == "say much" else WORDS
    if len(answer.split()) != words or pieces < words:
        raise AssertionError(f"{row.task!r}: {words} words were to come in pieces, not {pieces} pieces: {answer!r}")


def tool_schema() -> dict[str, object]:
    """The tool as it is written by hand."""
    return json.loads(_TOOL)  # type: ignore[no-any-return]


_TOOL = """
{"type": "function", "function": {
  "name": "count",
  "description": "Count to a number.",
  "parameters": {
    "type": "object",
    "properties": {
      "number": {"type": "integer", "description": "how far"},
      "why": {"type": "string", "description": "what for"}
    },
    "required": ["number", "why"],
    "additionalProperties": false
}}}
"""
