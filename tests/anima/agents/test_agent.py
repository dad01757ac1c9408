"""Agents in a system: a task goes in, an answer comes out, whatever happens on the way."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import AskTimeout, MailboxSpec, Refused, open_system
from anima.agents import (
    TURN_EVENTS,
    Agent,
    AgentTurnEnded,
    Answer,
    Limits,
    ModelErred,
    Note,
    StopReason,
    Task,
    TextReset,
    TextStreamed,
    TimerSpec,
    ToolBegun,
    ToolDone,
    TurnDone,
    TurnStarted,
)
from anima.llm import ModelSpec, NetworkFailed, Price, ToolMessage, UserMessage
from anima.testing import Call, Fail, Say, Wait
from anima_supervisors import Inline
from anima_tools import Effect, Toolbox, tool
from tests.anima.agents.homes import home_with, model_of, spec


@tool(effect=Effect.PURE)
async def double(number: int) -> str:
    """Double a number."""
    return str(2 * number)


@tool(effect=Effect.EXTERNAL)
async def slow(seconds: float) -> str:
    """Take some time."""
    await trio.sleep(seconds)
    return "done"


TOOLS = Toolbox([double, slow])


async def test_an_agent_uses_its_tools_and_answers() -> None:
    home = home_with([[Say("Let me see."), Call("double", {"number": 21})], "It is 42."])
    async with open_system() as system:
        prices = {"scripted": Price(1_000_000, 0)}
        me = spec(toolbox=TOOLS, prices=prices, model=ModelSpec(provider="scripted", model="scripted"))
        ada = await system.spawn("ada", Agent, me, home)
        answer = await ada.ask(Task("What is twice 21?"))
    assert (answer.text, answer.stop_reason) == ("It is 42.", StopReason.END_TURN)
    assert answer.steps == 3
    assert answer.cost == answer.usage.input_tokens > 0
    last = model_of(home).requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert last.results[0].content == "42"


async def test_whoever_listens_hears_every_step_and_the_text_as_it_comes() -> None:
    home = home_with([Call("double", {"number": 21}), Say("It is 42.", size=3)])
    async with open_system() as system, open_inbox(system) as inbox:
        ada = await system.spawn("ada", Agent, spec(toolbox=TOOLS), home)
        answer = await ada.ask(Task("What?", listener=inbox.ref))
        events = [inbox.receive_nowait() for _ in range(inbox.statistics().length)]
    assert isinstance(events[0], TurnStarted)
    assert events[-1] == TurnDone(answer.turn, answer)
    assert "".join(event.text for event in events if isinstance(event, TextStreamed)) == "It is 42."
    assert [type(event) for event in events if isinstance(event, ToolBegun | ToolDone)] == [ToolBegun, ToolDone]


def open_inbox(system: Any) -> Any:
    return system.open_inbox(*TURN_EVENTS)


async def test_a_slow_listener_loses_nothing_and_hears_the_end(autojump_clock: MockClock) -> None:
    text = "word " * 3000
    home = home_with([Say(text)])
    heard: list[str] = []
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(), home)
        box = system.open_inbox(TextStreamed, TurnDone, mailbox=MailboxSpec(10))
        async with box as inbox, trio.open_nursery() as nursery:

            async def listen() -> None:
                while not isinstance(event := await inbox.receive(), TurnDone):
                    heard.append(event.text)
                    await trio.sleep(0.1)

            nursery.start_soon(listen)
            await ada.ask(Task("go", listener=inbox.ref))
    assert "".join(heard) == text


async def test_what_is_said_again_after_a_correction_makes_void_what_was_streamed(autojump_clock: MockClock) -> None:
    home = home_with(["", "here"])
    async with open_system() as system, open_inbox(system) as inbox:
        ada = await system.spawn("ada", Agent, spec(), home)
        await ada.ask(Task("go", listener=inbox.ref))
        events = [inbox.receive_nowait() for _ in range(inbox.statistics().length)]
    assert any(isinstance(event, TextReset) for event in events)


async def test_the_hook_of_the_tree_hears_figures_and_no_content() -> None:
    events: list[Any] = []
    home = home_with([Call("double", {"number": 21}), "secret words"])
    async with open_system(on_event=Inline(events.append)) as system:
        ada = await system.spawn("ada", Agent, spec(toolbox=TOOLS), home)
        await ada.ask(Task("secret task"))
    told = [event for event in events if event.name.startswith("turn.")]
    assert [event.name for event in told] == ["turn.began", "turn.model", "turn.tool", "turn.model", "turn.ended"]
    assert all(event.path == "home/ada" for event in told)
    assert "secret" not in repr(told)
    assert isinstance(told[-1], AgentTurnEnded)
    assert told[-1].stop_reason == "end_turn"


async def test_a_conversation_goes_on_and_another_one_knows_nothing_of_it() -> None:
    home = home_with(["Hello Ada.", "You are Ada.", "I do not know."])
    async with open_system() as system:
        agent = await system.spawn("bob", Agent, spec("bob"), home)
        await agent.ask(Task("I am Ada."))
        await agent.ask(Task("Who am I?"))
        await agent.ask(Task("Who am I?", conversation="another"))
    requests = model_of(home).requests
    assert [len(request.messages) for request in requests] == [1, 3, 1]
    assert requests[0].system == requests[1].system


async def test_tools_run_at_the_same_time_up_to_the_limit(autojump_clock: MockClock) -> None:
    calls = [Call("slow", {"seconds": 1.0}, id=str(n)) for n in range(4)]
    home = home_with([calls, "done"])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(toolbox=TOOLS, parallel_tools=2), home)
        began = trio.current_time()
        await ada.ask(Task("go"))
        assert trio.current_time() - began == pytest.approx(2.0)


async def test_one_tool_that_fails_does_not_drop_the_results_of_the_others() -> None:
    @tool
    async def break_down() -> str:
        """Break down."""
        raise RuntimeError("broken")

    home = home_with([[Call("double", {"number": 1}), Call("break_down"), Call("double", {"number": 2})], "done"])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(toolbox=Toolbox([double, break_down])), home)
        await ada.ask(Task("go"))
    last = model_of(home).requests[1].messages[-1]
    assert isinstance(last, ToolMessage)
    assert [(result.failed, result.content) for result in last.results] == [
        (False, "2"),
        (True, "RuntimeError: broken"),
        (False, "4"),
    ]


async def test_work_that_nobody_waits_for_any_more_is_finished(autojump_clock: MockClock) -> None:
    home = home_with([[Wait(5), Say("late")], "and this is next"])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(), home)
        with pytest.raises(AskTimeout):
            await ada.ask(Task("go", id="first"), timeout=1)
        assert (await ada.ask(Task("go", id="first"))).text == "late"  # the same task: it is done once
        assert len(model_of(home).requests) == 1


async def test_a_task_of_one_agent_is_refused_by_another_and_harms_neither() -> None:
    home = home_with(["mine", "next"])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(), home)
        bob = await system.spawn("bob", Agent, spec("bob"), home)
        assert (await ada.ask(Task("go", id="t1"))).text == "mine"
        with pytest.raises(Refused, match="belongs to home/ada"):
            await bob.ask(Task("go", id="t1"))
        assert (await bob.ask(Task("go"))).text == "next"


async def test_a_call_nested_without_end_is_an_error_like_any_other() -> None:
    home = home_with([Call("double", '{"number": ' + "[" * 5000 + "]" * 5000 + "}"), "so be it", "next"])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(toolbox=TOOLS), home)
        assert (await ada.ask(Task("go"))).text == "so be it"
        assert (await ada.ask(Task("go"))).text == "next"


async def test_a_note_that_no_call_of_the_model_has_seen_is_a_turn_of_its_own(autojump_clock: MockClock) -> None:
    home = home_with([Call("slow", {"seconds": 10.0}), [Wait(5), Say("at the limit")], "noted"])
    async with open_system() as system, trio.open_nursery() as nursery:
        ada = await system.spawn("ada", Agent, spec(toolbox=TOOLS, limits=Limits(turns=1)), home)
        nursery.start_soon(ada.ask, Task("go"))
        await trio.sleep(12)  # the last call is under way
        ada.tell(Note("the plan has changed", "home/boss"))
        await trio.sleep(10)
    assert "the plan has changed" in str(model_of(home).requests[2].messages[-1])


async def test_an_interrupted_turn_is_answered_with_what_there_is(autojump_clock: MockClock) -> None:
    home = home_with([[Say("The first half"), Wait(1000), Say(" and the second")], "next"])
    async with open_system() as system, trio.open_nursery() as nursery:
        ada = await system.spawn("ada", Agent, spec(), home)
        answers: list[Answer] = []

        async def ask() -> None:
            answers.append(await ada.ask(Task("go", id="t1")))

        nursery.start_soon(ask)
        await trio.sleep(1)
        assert home.thinking == ("t1",)
        assert home.interrupt("t1")
        await trio.sleep(1)
        assert [(answer.text, answer.stop_reason) for answer in answers] == [("The first half", StopReason.CANCELLED)]
        assert not home.interrupt("t1")
        assert (await ada.ask(Task("and now?"))).text == "next"


async def test_interrupting_a_turn_cancels_its_tools(autojump_clock: MockClock) -> None:
    home = home_with([Call("slow", {"seconds": 1000.0})])
    async with open_system() as system, trio.open_nursery() as nursery:
        ada = await system.spawn("ada", Agent, spec(toolbox=TOOLS), home)
        nursery.start_soon(ada.ask, Task("go", id="t1"))
        await trio.sleep(1)
        home.interrupt("t1")
        await trio.sleep(1)
        assert trio.current_time() < 10
        assert home.thinking == ()


async def test_what_the_model_could_not_do_is_in_the_answer() -> None:
    home = home_with([Fail(NetworkFailed, "the cable is cut")])
    async with open_system() as system, open_inbox(system) as inbox:
        ada = await system.spawn("ada", Agent, spec(), home)
        answer = await ada.ask(Task("go", listener=inbox.ref))
        events = [inbox.receive_nowait() for _ in range(inbox.statistics().length)]
    assert answer.stop_reason is StopReason.LLM_ERROR
    assert "the cable is cut" in (answer.error or "")
    assert any(isinstance(event, ModelErred) for event in events)


async def test_at_its_time_limit_a_turn_stops_its_tools_and_gives_its_best_answer(autojump_clock: MockClock) -> None:
    home = home_with([Call("slow", {"seconds": 1000.0}), "as far as I came"])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(toolbox=TOOLS, limits=Limits(seconds=10)), home)
        answer = await ada.ask(Task("go"))
    assert (answer.text, answer.stop_reason) == ("as far as I came", StopReason.BUDGET_TIME)
    assert answer.seconds == pytest.approx(10, abs=0.1)


async def test_a_model_that_hangs_is_left_at_the_time_limit(autojump_clock: MockClock) -> None:
    home = home_with([[Say("well"), Wait(50)], [Wait(100)]])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(limits=Limits(seconds=10)), home)
        answer = await ada.ask(Task("go"))
        assert trio.current_time() < 75
    assert (answer.text, answer.stop_reason) == ("well", StopReason.BUDGET_TIME)


# Notes, timers


async def test_a_note_that_comes_while_it_thinks_is_seen_before_the_next_call(autojump_clock: MockClock) -> None:
    home = home_with([Call("slow", {"seconds": 10.0}), "I know."])
    async with open_system() as system, trio.open_nursery() as nursery:
        ada = await system.spawn("ada", Agent, spec(toolbox=TOOLS), home)
        nursery.start_soon(ada.ask, Task("go"))
        await trio.sleep(1)
        ada.tell(Note("the plan\nhas changed", "home/boss"))
        await trio.sleep(20)
    last = model_of(home).requests[1].messages[-1]
    assert last == UserMessage("A message has come from home/boss:\n> the plan\n> has changed")
    assert len(model_of(home).requests) == 2


async def test_a_note_to_an_idle_agent_makes_it_think(autojump_clock: MockClock) -> None:
    home = home_with(["noted"])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(), home)
        ada.tell(Note("look at this"))
        await wait_all_tasks_blocked()
    assert "look at this" in str(model_of(home).requests[0].messages)


async def test_timers_give_it_their_message_as_a_task_and_never_in_the_middle_of_another(
    autojump_clock: MockClock,
) -> None:
    home = home_with([[Wait(12), Say("slow")], "tick"], repeat=True)
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(timers=(TimerSpec(10, "anything new?"),)), home)
        await trio.sleep(9)
        await ada.ask(Task("a long task"))
        await trio.sleep(5)
    texts = [str(request.messages[-1]) for request in model_of(home).requests]
    assert "a long task" in texts[0]
    assert "anything new?" in texts[1]
