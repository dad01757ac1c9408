"""Memory as tools for a model."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from anima.memory import AgentMemory, BadMemory, memory_tools, open_memory
from anima_tools import Effect, Invocation, Toolbox, Workspace


@pytest.fixture
async def memory() -> AsyncIterator[AgentMemory]:
    async with open_memory(None) as memories:
        yield memories.of("ada")


async def test_their_effects(memory: AgentMemory) -> None:
    effects = {tool.name: tool.effect for tool in memory_tools(memory)}
    assert effects == {"remember": Effect.IDEMPOTENT, "recall": Effect.PURE, "forget": Effect.IDEMPOTENT}


async def test_a_model_remembers_recalls_and_forgets(memory: AgentMemory, tmp_path: Path) -> None:
    tools = {tool.name: tool for tool in memory_tools(memory, run="run 1", conversation="talk")}
    Toolbox(list(tools.values()))

    async def call(name: str, step: str = "", **arguments: Any) -> str:
        tool = tools[name]
        invocation = Invocation(step, Workspace(tmp_path, tmp_path))
        return await tool.run(tool.check(json.dumps(arguments)), invocation)

    assert await call("recall", query="tea") == "nothing was found"
    fact = {"text": "the user likes tea", "key": "drink"}
    assert await call("remember", "step 1", **fact) == "remembered as memory 1"
    assert await call("remember", "step 2", **fact) == "remembered as memory 1, for the 2. time"
    for step in ("step 1", "step 2"):  # as a turn that is resumed does
        assert await call("remember", step, **fact) == "remembered as memory 1, for the 2. time"
    found = await call("recall", query="Who likes tea?")
    assert re.search(r'^- #1, .* UTC, from you: "drink": "the user likes tea"$', found, re.MULTILINE)
    (kept,) = await memory.entries()
    assert (kept.run, kept.conversation, kept.chosen) == ("run 1", "talk", True)
    assert await call("forget", key="drink") == "forgot 1"
    assert await call("forget", memory_id=1) == "nothing was forgotten: there is no 1 that you remembered"
    assert await call("forget") == "nothing was forgotten: give memory_id or key"
    await memory.undo("run 1")
    assert await memory.entries() == []


async def test_who_shares_something_with_others_can_tell_them(tmp_path: Path) -> None:
    async with open_memory(None) as memories:
        ada, bob, eve = memories.of("ada", ["team:red"]), memories.of("bob", ["team:red"]), memories.of("eve")
        (remember, *_) = memory_tools(ada)
        invocation = Invocation("step", Workspace(tmp_path, tmp_path))
        shared = {"text": "The key is under the mat.", "scope": "team:red"}
        await remember.run(remember.check(json.dumps(shared)), invocation)
        with pytest.raises(BadMemory, match="ada does not share the scope 'team:blue'; it has team:red"):
            await remember.run(remember.check(json.dumps({"text": "x", "scope": "team:blue"})), invocation)
        assert [one.memory.text for one in await bob.recall("key")] == ["The key is under the mat."]
        assert await eve.recall("key") == []
    (alone, *_) = memory_tools(eve)
    assert (remember.name, alone.name) == ("remember", "remember")
    assert "scope" not in alone.input_schema["properties"]
