"""Agents that crash, are killed, or parked: their turns go on where they were."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import ActorSpec, AskFailed, open_system
from anima.agents import (
    JOURNAL,
    Agent,
    Answer,
    Home,
    MemoryJournal,
    ModelAnswered,
    ModelCalled,
    NotInDoubt,
    NotKept,
    OnDoubt,
    Record,
    StopReason,
    StoreJournal,
    Task,
    TurnBegan,
    list_runs,
    settle_step,
)
from anima.agents._records import ToolAnswered, ToolCalled
from anima.llm import AssistantMessage, Finish, FinishReason, ModelEvent, ModelRequest
from anima.store import StoreFull, open_store
from anima.testing import Call, Say, ScriptedModel, Wait, scripted_home
from anima_supervisors import Event, Inline
from anima_supervisors.testing import kill
from anima_tools import Effect, Toolbox, ToolCall, tool
from tests.anima.agents.homes import home_with, model_of, spec


@tool(effect=Effect.PURE)
async def double(number: int) -> str:
    """Double a number."""
    return str(2 * number)


class Crashing(ScriptedModel):
    """Raises what no model should, when it is asked for the first time."""

    async def stream(self, request: ModelRequest) -> Any:
        if not self.requests:
            self.requests.append(request)
            raise ZeroDivisionError("a bug")
        async for event in super().stream(request):
            yield event


async def test_an_agent_that_crashes_goes_on_with_the_same_turn_and_its_asker_never_knows() -> None:
    home = home_with(Crashing(["It is done."]))
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(), home)
        answer = await ada.ask(Task("go"))
    assert answer.text == "It is done."
    assert len(model_of(home).requests) == 2


class Broken(ScriptedModel):
    """Has a bug that one of the tasks brings out."""

    async def stream(self, request: ModelRequest) -> Any:
        if "poison" in str(request.messages[-1]):
            raise ZeroDivisionError("a bug")
        async for event in super().stream(request):
            yield event


async def test_a_task_that_crashes_it_every_time_is_put_aside_and_the_agent_goes_on() -> None:
    home = home_with(Broken(["fine"]))
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(), home)
        with pytest.raises(AskFailed) as failed:
            await ada.ask(Task("poison"))
        assert isinstance(failed.value.__cause__, ZeroDivisionError)
        assert [letter.attempts for letter in system.dead_letters] == [Agent.attempts]
        assert (await ada.ask(Task("bread"))).text == "fine"


async def killed_while_a_tool_runs(effect: Effect, **fields: Any) -> tuple[Answer, int, list[Any]]:
    """An agent is killed while its tool runs, and restarted: its answer, how often the tool ran, and the records."""
    runs: list[str] = []

    async def act(invocation: Any) -> str:
        """Act."""
        runs.append(invocation.key)
        if len(runs) == 1:
            kill(system.supervisor, "ada")
            await trio.sleep_forever()
        return "done"

    from anima_tools import Invocation

    act.__annotations__["invocation"] = Invocation
    home = home_with([Call("act"), "the end"])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(toolbox=Toolbox([tool(act, effect=effect)]), **fields), home)
        answer = await ada.ask(Task("go", id="t1"))
    assert len(set(runs)) == 1
    return answer, len(runs), list(await home.journal.records("t1"))


@pytest.mark.parametrize("effect", [Effect.PURE, Effect.IDEMPOTENT])
async def test_a_call_that_may_be_repeated_is_made_again_with_the_same_key(effect: Effect) -> None:
    answer, runs, records = await killed_while_a_tool_runs(effect)
    assert (answer.text, runs) == ("the end", 2)
    assert len([record for record in records if isinstance(record, ToolCalled)]) == 1


async def test_an_external_call_is_not_repeated_and_the_model_is_told_of_the_doubt() -> None:
    answer, runs, records = await killed_while_a_tool_runs(Effect.EXTERNAL)
    assert (answer.text, runs) == ("the end", 1)
    (result,) = (record.result for record in records if isinstance(record, ToolAnswered))
    assert result.failed
    assert "not known whether" in result.content


async def test_an_external_call_in_doubt_ends_the_turn_where_the_agent_says_so() -> None:
    answer, runs, _ = await killed_while_a_tool_runs(Effect.EXTERNAL, on_doubt=OnDoubt.FAIL)
    assert (answer.stop_reason, runs) == (StopReason.IN_DOUBT, 1)


async def test_at_once_an_external_tool_is_cut_off_and_in_doubt_when_the_turn_goes_on(
    autojump_clock: MockClock,
) -> None:
    runs: list[str] = []

    @tool
    async def send() -> str:
        """Send something away."""
        runs.append("sent")
        await trio.sleep(1000)
        return "sent"

    home = home_with([Call("send"), "the end"])
    one = spec(toolbox=Toolbox([send]))
    async with open_system() as system, trio.open_nursery() as nursery:
        ada = await system.spawn("ada", Agent, one, home)
        nursery.start_soon(ada.ask, Task("go", id="t1"))
        await trio.sleep(1)
        home.park()
        await trio.sleep(10)
        assert len(home.thinking) == 1
        home.park(at_once=True)
        await wait_all_tasks_blocked()
        assert len(home.thinking) == 0
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, one, Home(home.models, home.journal))
        assert (await ada.ask(Task("go", id="t1"))).text == "the end"
    assert runs == ["sent"]
    assert "not known whether" in str(model_of(home).requests[1].messages)


async def test_a_conversation_that_is_being_summarized_is_parked_at_once(autojump_clock: MockClock) -> None:
    home = home_with(["word " * 400, [Wait(50), Say("never said")], "in short", "the end"])
    short = spec(context_tokens=600)
    async with open_system() as system, trio.open_nursery() as nursery:
        ada = await system.spawn("ada", Agent, short, home)
        await ada.ask(Task("talk"))
        nursery.start_soon(ada.ask, Task("go on", id="t2"))
        await trio.sleep(1)
        home.park()
        await wait_all_tasks_blocked()
        assert home.thinking == ()
    assert "Summarize" in str(model_of(home).requests[1].messages)
    again = Home(home.models, home.journal)
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, short, again)
        assert (await ada.ask(Task("go on", id="t2"))).text == "the end"


async def test_an_agent_that_is_restarted_remembers_its_conversation() -> None:
    home = home_with(["Hello Ada.", "You are Ada."])
    async with open_system() as system:
        ada = await system.spawn("bob", Agent, spec("bob"), home)
        await ada.ask(Task("I am Ada."))
        await system.supervisor.terminate_child("bob")
        await system.spawn("bob", Agent, spec("bob"), home)
        assert (await ada.ask(Task("Who am I?"))).text == "You are Ada."
    assert len(model_of(home).requests[1].messages) == 3


class Buggy:
    """A model with a bug."""

    name = "broken"

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("a bug in the model")
        yield


async def test_a_task_that_has_crashed_its_agent_too_often_is_put_aside_with_the_error(tmp_path: Path) -> None:
    async with open_store(tmp_path / "ada.journal", JOURNAL, owner="a test") as store, open_system() as system:
        home = Home(scripted_home(Buggy()).models, StoreJournal(store))
        ada = await system.spawn("ada", Agent, spec(), home)
        with pytest.raises(AskFailed, match="a bug in the model"):
            await ada.ask(Task("go"))
        (run,) = await list_runs(store)
    assert run.state == "aside"
    assert run.error == "it has crashed its agent 3 times in a row; the last time by RuntimeError: a bug in the model"


class Full(MemoryJournal):
    """A journal that has no room for results."""

    async def append(self, turn: str, records: Sequence[Record], taken: Sequence[str] = ()) -> None:
        if any(isinstance(record, ToolAnswered) for record in records):
            raise StoreFull(None, "no room")
        await super().append(turn, records, taken)

    async def put_aside(self, turn: str, error: str) -> None:
        raise AssertionError("it is no crash")


async def test_a_journal_that_has_no_room_is_no_crash_of_the_agent_also_in_its_tools() -> None:
    home = Home(home_with([Call("double", {"number": 1})]).models, Full())
    async with open_system() as system:
        made = functools.partial(Agent, spec(toolbox=Toolbox([double])), home)
        ada = await system.spawn(ActorSpec("ada", made, attempts=1))
        with pytest.raises(NotKept, match="no room"):
            await ada.ask(Task("go"))


async def test_a_turn_that_waits_for_a_person_says_so_and_is_no_failure_however_often_it_is_asked_for(
    tmp_path: Path,
) -> None:
    @tool
    async def send() -> str:
        """Send something away."""
        return "sent"

    call = ToolCall("c1", "send", "{}")
    message = AssistantMessage((call,))
    records: list[Record] = [
        TurnBegan(task="go", conversation="main", agent="home/ada"),
        ModelCalled(step=1),
        ModelAnswered(step=1, message=message, finish=Finish(FinishReason.TOOL_CALLS)),
        ToolCalled(step=2, tool="send", key="k", effect=Effect.EXTERNAL),
    ]
    events: list[Event] = []
    async with open_store(tmp_path / "ada.journal", JOURNAL, owner="a test") as store:
        journal = StoreJournal(store)
        await journal.append("t1", records)
        home = Home(home_with(["later", "the end", "knows"]).models, journal)
        one = spec(toolbox=Toolbox([send]), on_doubt=OnDoubt.ASK)
        async with open_system(on_event=Inline(events.append)) as system:
            ada = await system.spawn("ada", Agent, one, home)
            for _ in range(7):
                answer = await ada.ask(Task("go", id="t1"))
                assert (answer.stop_reason, answer.turn) == (StopReason.AWAITING_APPROVAL, "t1")
            (run,) = await list_runs(store)
            assert (run.state, run.error) == ("aside", answer.error)
            assert (await ada.ask(Task("and now?", id="t2"))).text == "later"
        assert any(event.name == "turn.waits" for event in events)
        await settle_step(store, "t1", 2, took_effect=True)
        async with open_system() as system:
            ada = await system.spawn("ada", Agent, one, home)
            assert (await ada.ask(Task("go", id="t1"))).text == "the end"
            await ada.ask(Task("what did I ask?", id="t3"))
        with pytest.raises(NotInDoubt, match="there are: none"):
            await settle_step(store, "t1", 2, took_effect=True)
    assert "and now?" in str(model_of(home).requests[2].messages)  # it came after the one that was settled
