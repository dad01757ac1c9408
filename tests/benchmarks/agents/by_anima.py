"""Our agents, the full runtime: supervised actors, each turn in a journal in memory, a hook for the tree's events, and
a listener that is told of every piece of an answer, as `anima run` has one."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from anima.actors import ActorRef, MailboxSpec, System, open_system
from anima.agents import (
    TURN_EVENTS,
    Agent,
    AgentSpec,
    Limits,
    Task,
    TextStreamed,
    TurnDone,
    TurnEvent,
    new_id,
    open_home,
)
from anima.llm import ModelSpec
from anima_supervisors import Event, Inline
from anima_tools import Effect, Toolbox, Workspace, tool
from tests.benchmarks.agents.by_httpx import together
from tests.benchmarks.agents.workloads import AGENTS, MODEL, SYSTEM, Figures, Row, Turn, counted, measured

#: How an agent is given one task.
TurnOf = Callable[[System, ActorRef[Task], str], Awaitable[tuple[str, int]]]

NOWHERE = Workspace(Path("/nonexistent"), Path("/nonexistent/outputs"), env={})


@tool(effect=Effect.PURE)
async def count(number: int, why: str) -> str:
    """Count to a number.

    Args:
        number: how far
        why: what for
    """
    return counted(number)


class Events:
    """The tree's hook: counts what it is told."""

    def __init__(self) -> None:
        self.count = 0

    def take(self, event: Event) -> None:
        self.count += 1


def spec(url: str) -> AgentSpec:
    """More calls of the model than by default, and as many at once as there are agents: else it would wait."""
    model = ModelSpec(provider="openai", model=MODEL, base_url=url, concurrency=AGENTS)
    return AgentSpec(
        name="ada",
        model=model,
        persona=SYSTEM,
        toolbox=Toolbox([count]),
        workspace=NOWHERE,
        limits=Limits(turns=100),
    )


async def heard(system: System, ref: ActorRef[Task], task: str) -> tuple[str, int]:
    """One task in a conversation of its own, listened to."""
    pieces = 0

    async def listen() -> None:
        nonlocal pieces
        event: TurnEvent | None = None
        while not isinstance(event, TurnDone):
            event = await inbox.receive()
            pieces += isinstance(event, TextStreamed)

    async with system.open_inbox(*TURN_EVENTS, mailbox=MailboxSpec(10_000)) as inbox:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            id = new_id()
            answer = await ref.ask(Task(task, conversation=id, id=id, listener=inbox.ref))
    return answer.text, pieces


async def unheard(_: System, ref: ActorRef[Task], task: str) -> tuple[str, int]:
    """The same with nobody listening."""
    id = new_id()
    answer = await ref.ask(Task(task, conversation=id, id=id))
    return answer.text, len(answer.text.split())


def run_with(turn_of: TurnOf, hook: Inline | None, url: str, row: Row, warm_up: int) -> Figures:
    async def main() -> Figures:
        async with open_home() as home, open_system(on_event=hook) as system:
            ada = spec(url)

            async def make(number: int) -> Turn:
                ref = await system.spawn(f"ada-{number}", Agent, ada, home)
                return functools.partial(turn_of, system, ref)

            return await measured(row, warm_up, make, together)

    return trio.run(main)


def run(url: str, row: Row, warm_up: int) -> Figures:
    events = Events()
    figures = run_with(heard, Inline(events.take), url, row, warm_up)
    assert events.count
    return figures
