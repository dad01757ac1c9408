"""Agents remember: what was asked and answered, what they chose to, and what fits a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anima.actors import open_system
from anima.agents import (
    JOURNAL,
    Agent,
    Home,
    MemoryJournal,
    MemorySpec,
    StopReason,
    StoreJournal,
    Task,
    TurnBegan,
    TurnEnded,
    open_home,
)
from anima.agents._remembering import Remembering
from anima.llm import ModelRequest, Secret
from anima.memory import open_memory
from anima.store import StoreFull, open_store
from anima.testing import Answer, Call, ScriptedModel, scripted_home
from anima_supervisors import ChildStartFailed, Inline
from tests.anima.agents.homes import home_with, spec

AUTO = {"auto": True, "tools": ["remember", "recall", "forget"]}


async def answers(path: Path, task: str, script: list[Answer], **fields: Any) -> ScriptedModel:
    """A new program: its agent is given a task; the model that was asked."""
    model = ScriptedModel(script)
    async with open_home() as opened, open_system() as system:
        home = Home(scripted_home(model).models, memories=opened._memories)
        ada = await system.spawn("ada", Agent, spec(memory=MemorySpec(path=path, **{**AUTO, **fields})), home)
        await ada.ask(Task(task, conversation=task))
    return model


def told(request: ModelRequest) -> str:
    return str(request.messages[-1])


async def test_asked_the_next_day_in_a_new_program_the_agent_knows_what_it_did(tmp_path: Path) -> None:
    file = tmp_path / "ada.memory"
    await answers(file, "Paint the fence green, please.", ["The fence is green now."])
    model = await answers(file, "Which colour has the fence?", ["Green."])
    assert "The fence is green now." in told(model.requests[0])
    assert "not instructions" in told(model.requests[0])


async def test_what_it_chose_to_remember_bears_the_run_and_can_be_taken_back(tmp_path: Path) -> None:
    file = tmp_path / "ada.memory"
    await answers(file, "note this", [Call("remember", {"text": "The cat is called Tom.", "key": "cat"}), "noted"])
    async with open_memory(file) as memories:
        ada = memories.of("ada")
        note = await ada.get("cat")
        assert note is not None
        assert note.run
        await ada.undo(note.run)
        assert await ada.get("cat") is None


async def test_secrets_are_not_remembered_by_themselves(tmp_path: Path) -> None:
    file = tmp_path / "ada.memory"
    model = ScriptedModel(["I shall use hunter22."])
    async with open_home() as opened, open_system() as system:
        home = Home(scripted_home(model).models, memories=opened._memories)
        secretive = spec(memory=MemorySpec(path=file, auto=True), secrets={Secret("hunter22")})
        ada = await system.spawn("ada", Agent, secretive, home)
        await ada.ask(Task("My key is sk-abcdef123456."))
    assert "sk-abcdef123456" in str(model.requests[0].messages)  # the model itself is told all
    async with open_memory(file) as memories:
        texts = [one.text for one in await memories.of("ada").entries()]
    assert texts == ["I shall use ***.", "My key is ***"]


async def test_without_auto_memory_nothing_is_told_and_nothing_is_kept_by_itself(tmp_path: Path) -> None:
    file = tmp_path / "ada.memory"
    await answers(file, "Paint the fence green.", ["done"], auto=False)
    model = await answers(file, "Which colour has the fence?", [Call("recall", {"query": "fence"}), "?"], auto=False)
    assert "remember" not in told(model.requests[0])
    assert "nothing was found" in told(model.requests[1])


async def test_another_agent_sees_nothing_of_it_but_what_is_shared(tmp_path: Path) -> None:
    file = tmp_path / "all.memory"
    async with open_memory(file) as memories:
        await memories.of("ada", ["team:red"]).remember("The key is under the mat.", scope="team:red")
        await memories.of("ada").remember("The code is 1234.")
    shared = MemorySpec(path=file, tools=["recall"], auto=True, scopes=("team:red",))
    model = ScriptedModel(["?"])
    async with open_home() as opened, open_system() as system:
        home = Home(scripted_home(model).models, memories=opened._memories)
        ref = await system.spawn("bob", Agent, spec("bob", memory=shared), home)
        await ref.ask(Task("Where is the key, and what is the code?"))
    assert "under the mat" in told(model.requests[0])
    assert "1234" not in told(model.requests[0])


async def test_a_memory_that_cannot_be_used_keeps_no_agent_from_answering(tmp_path: Path) -> None:
    file = tmp_path / "ada.memory"
    file.write_bytes(b"this is no database" * 100)
    events: list[Any] = []
    model = ScriptedModel(["answered all the same"])
    async with open_home() as opened, open_system(on_event=Inline(events.append)) as system:
        home = Home(scripted_home(model).models, memories=opened._memories)
        ada = await system.spawn("ada", Agent, spec(memory=MemorySpec(path=file, auto=True)), home)
        assert (await ada.ask(Task("go"))).text == "answered all the same"
    assert any(event.name == "memory.trouble" for event in events)
    assert file.read_bytes().startswith(b"this is no database")


async def test_a_home_without_a_place_for_memories_says_so() -> None:
    async with open_system() as system:
        with pytest.raises(ChildStartFailed, match="open_home"):
            await system.spawn("ada", Agent, spec(memory=MemorySpec()), scripted_home(ScriptedModel([])))


@pytest.mark.parametrize("broken", [True, False])
async def test_a_turn_that_ended_before_it_was_remembered_is_remembered_by_the_next_program(
    tmp_path: Path, broken: bool
) -> None:
    """The program was killed in between, or its memory could not be used: dated when it ended."""
    file = tmp_path / "ada.memory"
    memory = MemorySpec(path=file, auto=True)
    async with open_store(tmp_path / "ada.journal", JOURNAL, owner="a test") as store:
        journal = StoreJournal(store, now=lambda: 1000.0)

        async def program(*tasks: str) -> None:
            async with open_home() as opened, open_system() as system:
                home = Home(home_with(["Green."]).models, journal, memories=opened._memories)
                ada = await system.spawn("ada", Agent, spec(memory=memory), home)
                for task in tasks:
                    await ada.ask(Task(task))

        if broken:
            file.write_bytes(b"this is no database" * 100)
            await program("Which colour?")
            file.unlink()
        else:
            began = TurnBegan(task="Which colour?", conversation="c", agent="home/ada", remember=True)
            await journal.append("t1", [began, TurnEnded(stop_reason=StopReason.END_TURN, text="Green.")])
        await program()
        await program()
    async with open_memory(file) as memories:
        kept = await memories.of("ada").entries()
    assert [(one.text, one.count, one.at.timestamp()) for one in kept] == [
        ("Green.", 1, 1000.0),
        ("Which colour?", 1, 1000.0),
    ]


async def test_what_stands_in_the_conversation_is_not_recalled_beside_it(tmp_path: Path) -> None:
    model = ScriptedModel(["The fence is green now.", "Green, I said."])
    async with open_home() as opened, open_system() as system:
        home = Home(scripted_home(model).models, memories=opened._memories)
        ada = await system.spawn("ada", Agent, spec(memory=MemorySpec(path=tmp_path / "m", auto=True)), home)
        await ada.ask(Task("Paint the fence green."))
        await ada.ask(Task("Which colour has the fence?"))
    assert "What you remember" not in told(model.requests[1])


async def test_with_no_entries_nothing_is_recalled_but_all_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "ada.memory"
    await answers(file, "Paint the fence green.", ["done"], entries=0)
    model = await answers(file, "Which colour has the fence?", ["?"], entries=0)
    assert "What you remember" not in told(model.requests[0])
    async with open_memory(file) as memories:
        assert len(await memories.of("ada").entries()) == 4


class Forgetful(MemoryJournal):
    """A journal that has room for turns, and for nothing else."""

    async def remembered(self, turn: str) -> None:
        raise StoreFull(None, "no room")


async def test_an_answer_is_not_lost_where_it_cannot_be_told_that_it_is_remembered(tmp_path: Path) -> None:
    journal = Forgetful()
    async with open_home() as opened, open_system() as system:
        home = Home(home_with(["Green."]).models, journal, memories=opened._memories)
        ada = await system.spawn("ada", Agent, spec(memory=MemorySpec(path=tmp_path / "m", auto=True)), home)
        assert (await ada.ask(Task("Which colour?"))).text == "Green."
    assert len(await journal.unremembered("home/ada")) == 1


async def test_where_memory_is_away_it_is_tried_once_at_the_start_and_not_for_every_turn(tmp_path: Path) -> None:
    journal = MemoryJournal()
    for number in range(5):
        began = TurnBegan(task="Which colour?", conversation="c", agent="home/ada", remember=True)
        await journal.append(f"t{number}", [began, TurnEnded(stop_reason=StopReason.END_TURN, text="Green.")])
    troubles: list[str] = []
    async with open_memory(tmp_path / "m") as memories:
        pass  # closed: it cannot be used
    remembering = Remembering(memories.of("ada"), MemorySpec(auto=True), str, troubles.append)
    await remembering.catch_up(journal, "home/ada")
    assert len(troubles) == 1
    assert len(await journal.unremembered("home/ada")) == 5


async def test_what_stands_in_the_conversation_takes_no_place_of_what_does_not(tmp_path: Path) -> None:
    async with open_memory(tmp_path / "m") as memories:
        ada = memories.of("ada")
        for number in range(5):
            await ada.remember(f"The fence number {number} is green.")
        await ada.remember("The fence of the neighbour is red, mostly.")
        told = await ada.inject("fence green", 1000, limit=5, leave_out=lambda memory: "number" in memory.text)
    assert "neighbour" in told
