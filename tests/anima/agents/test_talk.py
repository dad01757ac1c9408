"""Agents talk: they find each other by what they can do, ask, tell, publish, and start others."""

from __future__ import annotations

from typing import Any

import trio
from trio.testing import MockClock

from anima.actors import open_system
from anima.agents import TALK_TOOLS, Agent, Home, Note, Task
from anima.hub import Capability, Hub
from anima.llm import ModelSpec, ToolMessage
from anima.testing import Call, Say, ScriptedModel, Wait, scripted_home
from tests.anima.agents.homes import spec


def home_of(**models: ScriptedModel) -> Home:
    return scripted_home(ScriptedModel([]), **models)


def agent(name: str, **fields: Any) -> Any:
    """An agent whose model has its own name, and which may talk."""
    return spec(name, model=ModelSpec(provider="scripted", model=name), talk=frozenset(TALK_TOOLS), **fields)


def results(model: ScriptedModel, request: int) -> list[str]:
    """What the tools had given by this request."""
    last = model.requests[request].messages[-1]
    assert isinstance(last, ToolMessage)
    return [result.content for result in last.results]


async def test_an_agent_finds_another_by_what_it_can_do_and_asks_it() -> None:
    boss = ScriptedModel([Call("find_agents", {"capability": "math"}), Call("ask_agent", ASK), "It is 42."])
    home = home_of(boss=boss, ada=ScriptedModel(["42"]))
    async with open_system() as system:
        await system.spawn("ada", Agent, agent("ada", capabilities=(Capability("math"),), description="counts"), home)
        ref = await system.spawn("boss", Agent, agent("boss"), home)
        answer = await ref.ask(Task("What is 6 times 7?"))
    assert answer.text == "It is 42."
    assert results(boss, 1) == ["home/ada: counts; can: math"]
    assert results(boss, 2) == ["42"]


ASK = {"agent": "math", "task": "6 times 7"}


async def test_what_cannot_be_answered_is_an_error_that_the_model_sees() -> None:
    boss = ScriptedModel([Call("ask_agent", {"agent": "nobody", "task": "x"}), "Nobody is there."])
    home = home_of(boss=boss, ada=ScriptedModel([]))
    async with open_system() as system:
        await system.spawn("ada", Agent, agent("ada"), home)
        ref = await system.spawn("boss", Agent, agent("boss"), home)
        await ref.ask(Task("go"))
    assert "no agent is called 'nobody'" in results(boss, 1)[0]
    assert "there are: home/ada" in results(boss, 1)[0]


async def test_agents_that_would_wait_for_each_other_are_told_so_at_once() -> None:
    ada = ScriptedModel([Call("ask_agent", {"agent": "bob", "task": "you do it"}), "done"])
    bob = ScriptedModel([Call("ask_agent", {"agent": "ada", "task": "no, you"}), "I cannot"])
    home = home_of(ada=ada, bob=bob)
    async with open_system() as system:
        ref = await system.spawn("ada", Agent, agent("ada"), home)
        await system.spawn("bob", Agent, agent("bob"), home)
        answer = await ref.ask(Task("do it"), timeout=2)
    assert answer.text == "done"
    assert "wait for ever" in results(bob, 1)[0]
    assert results(ada, 1) == ["I cannot"]


async def test_an_agent_waits_for_another_no_longer_than_its_own_asker_does(autojump_clock: MockClock) -> None:
    boss = ScriptedModel([Call("ask_agent", {"agent": "ada", "task": "take your time"}), "too slow"])
    home = home_of(boss=boss, ada=ScriptedModel([[Wait(100), Say("late")]]))
    async with open_system() as system:
        await system.spawn("ada", Agent, agent("ada"), home)
        ref = await system.spawn("boss", Agent, agent("boss"), home)
        answer = await ref.ask(Task("go"), timeout=20)
        assert trio.current_time() < 20
    assert answer.text == "too slow"
    assert "did not answer in time" in results(boss, 1)[0]


async def test_what_is_told_is_seen_and_what_is_published_reaches_who_listens(autojump_clock: MockClock) -> None:
    boss = ScriptedModel(
        [[Call("tell_agent", {"agent": "ada", "text": "hi"}), Call("publish", {"topic": "news", "text": "x"})], "ok"]
    )
    ada, bob = ScriptedModel(["noted"]), ScriptedModel(["noted"])
    home = home_of(boss=boss, ada=ada, bob=bob)
    async with open_system() as system:
        await system.spawn("ada", Agent, agent("ada"), home)
        ref = await system.spawn("boss", Agent, agent("boss"), home)
        listener = await system.spawn("bob", Agent, agent("bob"), home)
        Hub.of(system).subscribe(listener, "news", Note)
        await ref.ask(Task("go"))
        await trio.sleep(1)
    assert results(boss, 1) == ["told home/ada", "1 listen to news and were told"]
    assert "home/boss" in str(ada.requests[0].messages)
    assert "> x" in str(bob.requests[0].messages)


async def test_an_agent_starts_one_of_its_own_and_they_cannot_go_deeper_than_allowed() -> None:
    boss = ScriptedModel(
        [
            Call("spawn_agent", {"name": "helper", "persona": "You help."}),
            Call("ask_agent", {"agent": "home/boss/helper", "task": "help"}),
            "I have no such tool",
            "helped",
        ]
    )
    home = home_of(boss=boss)
    async with open_system() as system:
        ref = await system.spawn("boss", Agent, agent("boss", spawn_depth=1), home)
        answer = await ref.ask(Task("go"))
    assert answer.text == "helped"
    assert boss.requests[2].system == "You help."
    assert "spawn_agent" in [tool.name for tool in boss.requests[0].tools]
    assert "spawn_agent" not in [tool.name for tool in boss.requests[2].tools]


async def test_a_chain_of_agents_that_is_too_long_ends_where_it_is_too_long() -> None:
    def passes_on(to: str) -> ScriptedModel:
        return ScriptedModel([Call("ask_agent", {"agent": to, "task": "go on"}), "done"])

    models = {"a": passes_on("b"), "b": passes_on("c"), "c": passes_on("d"), "d": ScriptedModel(["never asked"])}
    home = home_of(**models)
    async with open_system(max_hops=3) as system:
        refs = [await system.spawn(name, Agent, agent(name), home) for name in "abcd"]
        answer = await refs[0].ask(Task("go"))
    assert answer.text == "done"
    assert "it is a dead letter" in results(models["c"], 1)[0]
    assert models["d"].requests == []
