"""The agents of one tree share a journal: what they give each other there, over restarts of the program."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock

from anima.actors import ActorRef, open_system
from anima.agents import TALK_TOOLS, Agent, Home, MemoryJournal, Note, Task
from anima.hub import Hub
from anima.llm import ModelSpec
from anima.testing import Call, ScriptedModel, scripted_home
from tests.anima.agents.homes import spec


def agent(name: str, **fields: Any) -> Any:
    """An agent whose model has its own name, and which may talk."""
    return spec(name, model=ModelSpec(provider="scripted", model=name), talk=frozenset(TALK_TOOLS), **fields)


def home_of(journal: MemoryJournal, **models: ScriptedModel) -> Home:
    home = scripted_home(ScriptedModel([]), **models)
    return Home(home.models, journal)


async def test_what_is_published_is_seen_by_everyone_who_listens(autojump_clock: MockClock) -> None:
    boss = ScriptedModel([Call("publish", {"topic": "news", "text": "it rains"}), "ok"])
    ada, bob = ScriptedModel(["noted"]), ScriptedModel(["noted"])
    home = home_of(MemoryJournal(), boss=boss, ada=ada, bob=bob)
    async with open_system() as system:
        for name in ("ada", "bob"):
            Hub.of(system).subscribe(await system.spawn(name, Agent, agent(name), home), "news", Note)
        ref: ActorRef[Task] = await system.spawn("boss", Agent, agent("boss"), home)
        await ref.ask(Task("go"))
        await trio.sleep(1)
    assert ["it rains" in str(model.requests) for model in (ada, bob)] == [True, True]
