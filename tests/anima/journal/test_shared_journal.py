"""The agents of one tree share a journal: what they give each other there, over restarts of the program."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from anima.actors import ActorRef, ActorSpec, MailboxSpec, Refused, open_system
from anima.agents import (
    TALK_TOOLS,
    Agent,
    Home,
    MemoryJournal,
    MemorySpec,
    ModelAnswered,
    ModelCalled,
    Note,
    NotKept,
    Record,
    Spawned,
    StopReason,
    Task,
    TimerSpec,
    ToolAnswered,
    ToolCalled,
    TurnEnded,
    open_home,
)
from anima.agents._turn import idempotency_key
from anima.hub import Capability, Hub, Listens
from anima.llm import AssistantMessage, Finish, FinishReason, ModelSpec, ToolMessage
from anima.store import StoreFull
from anima.testing import Call, Say, ScriptedModel, Wait, scripted_home
from anima_tools import Effect, ToolCall
from tests.anima.agents.homes import spec
from tests.anima.journal.journals import began, ended


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


async def test_what_was_published_is_seen_also_when_the_program_ends_before_anybody_has_looked(
    autojump_clock: MockClock,
) -> None:
    """Who listens is busy, and the program is killed."""
    journal = MemoryJournal()
    boss = ScriptedModel([Call("publish", {"topic": "news", "text": "it rains"}), "told"])
    ada = ScriptedModel([[Wait(100), Say("busy")], [Wait(1), Say("noted")], "noted"])
    home = home_of(journal, boss=boss, ada=ada)
    with trio.move_on_after(10):
        async with open_system() as system, trio.open_nursery() as nursery:
            listener = await system.spawn("ada", Agent, agent("ada"), home)
            Hub.of(system).subscribe(listener, "news", Note)
            nursery.start_soon(listener.ask, Task("work", id="t1"))
            await trio.sleep(1)
            ref: ActorRef[Task] = await system.spawn("boss", Agent, agent("boss"), home)
            assert (await ref.ask(Task("go"))).text == "told"
            await trio.sleep_forever()
    journal.restarted()
    async with open_system() as system:
        await system.spawn("ada", Agent, agent("ada"), home)
        await trio.sleep(10)
    assert "it rains" in str(ada.requests[-1].messages)
    assert await journal.letters("home/ada") == ()


async def test_an_agent_whose_mailbox_is_full_sees_what_it_was_told_when_it_has_room(autojump_clock: MockClock) -> None:
    boss = ScriptedModel([Call("publish", {"topic": "news", "text": "it rains"}), "told"])
    ada = ScriptedModel([[Wait(100), Say("busy")], "one", "two", "noted"])
    home = home_of(MemoryJournal(), boss=boss, ada=ada)
    async with open_system() as system, trio.open_nursery() as nursery:
        made = functools.partial(Agent, agent("ada"), home)
        small = ActorSpec("ada", made, mailbox=MailboxSpec(2), declares=(Listens("news"),))
        listener = await system.spawn(small)
        for number in range(3):
            nursery.start_soon(listener.ask, Task("work", conversation=f"c{number}"))
            await trio.sleep(1)
        ref: ActorRef[Task] = await system.spawn("boss", Agent, agent("boss"), home)
        await ref.ask(Task("go"))
        assert results(boss) == ["1 listen to news and were told"]
        await trio.sleep(200)
    assert "it rains" in str(ada.requests[-1].messages)


def results(model: ScriptedModel) -> list[str]:
    """What the last request shows of tools."""
    last = model.requests[-1].messages[-1]
    assert isinstance(last, ToolMessage)
    return [result.content for result in last.results]


async def until_cut_off(home: Home, seconds: float, *agents: Any, ask: Task, of: str) -> None:
    """A program that ends in the middle."""
    with trio.move_on_after(seconds):
        async with open_system() as system:
            for one in agents:
                await system.spawn(one.name, Agent, one, home)
            ref: ActorRef[Task] = system.ref(f"home/{of}", Agent)
            await ref.ask(ask)


async def test_a_task_that_was_given_on_is_gone_on_with_by_the_one_who_had_it(autojump_clock: MockClock) -> None:
    """Also where others could do it, and have less to do."""
    journal = MemoryJournal()
    boss = ScriptedModel([Call("ask_agent", {"agent": "math", "task": "6 times 7"}), "It is 42."])
    slow = ScriptedModel([[Wait(10), Say("42")]] * 2)
    home = home_of(journal, boss=boss, ada=slow, bob=slow)
    able = [agent(name, capabilities=(Capability("math"),)) for name in ("ada", "bob")]
    await until_cut_off(home, 5, *able, agent("boss"), ask=Task("go", id="t1"), of="boss")
    assert len(slow.requests) == 1
    journal.restarted()
    async with open_system() as system:
        for one in (*able, agent("boss")):
            await system.spawn(one.name, Agent, one, home)
        await trio.sleep(30)
        ref: ActorRef[Task] = system.ref("home/boss", Agent)
        assert (await ref.ask(Task("go", id="t1"))).text == "It is 42."
    assert len(slow.requests) == 2


async def test_a_turn_is_thought_about_by_one_agent_at_a_time(autojump_clock: MockClock) -> None:
    slow = ScriptedModel([[Wait(10), Say("42")]] * 2)
    home = home_of(MemoryJournal(), ada=slow, bob=slow)
    async with open_system() as system, trio.open_nursery() as nursery:
        ada, bob = [await system.spawn(name, Agent, agent(name), home) for name in ("ada", "bob")]
        nursery.start_soon(ada.ask, Task("go", id="t1"))
        await trio.sleep(1)
        with pytest.raises(Refused, match="belongs to home/ada"):
            await bob.ask(Task("go", id="t1"))
    assert len(slow.requests) == 1


async def test_a_task_that_was_given_on_is_parked_with_its_giver_and_no_failure(autojump_clock: MockClock) -> None:
    journal = MemoryJournal()
    boss = ScriptedModel([Call("ask_agent", {"agent": "ada", "task": "6 times 7"}), "It is 42."])
    ada = ScriptedModel([[Wait(10), Say("42")]] * 2)
    home = home_of(journal, boss=boss, ada=ada)
    async with open_system() as system, trio.open_nursery() as nursery:
        for name in ("ada", "boss"):
            await system.spawn(name, Agent, agent(name), home)
        ref: ActorRef[Task] = system.ref("home/boss", Agent)

        async def ask() -> None:
            answer = await ref.ask(Task("go", id="t1"))
            assert answer.stop_reason is StopReason.SUPERVISOR_SHUTDOWN

        nursery.start_soon(ask)
        await trio.sleep(5)
        home.park()
    journal.restarted()
    home = Home(home.models, journal)
    async with open_system() as system:
        for name in ("ada", "boss"):
            await system.spawn(name, Agent, agent(name), home)
        await trio.sleep(30)
    (result,) = [one.result for one in await journal.records("t1") if isinstance(one, ToolAnswered)]
    assert (result.failed, result.content) == (False, "42")


class Hanging(MemoryJournal):
    """Does not come to keep the beginning of a turn."""

    hangs = True

    async def append(self, turn: str, records: Sequence[Record], taken: Sequence[str] = ()) -> None:
        if self.hangs:
            await trio.sleep_forever()
        await super().append(turn, records, taken)


async def test_a_tick_of_a_timer_is_not_lost_with_the_program_and_not_doubled(autojump_clock: MockClock) -> None:
    journal = Hanging()
    clock = ScriptedModel([[Wait(10), Say("late")], "noon", "one o'clock"])
    home = Home(scripted_home(clock).models, journal, now=lambda: 1000.0 + trio.current_time())
    ticking = spec("clock", timers=(TimerSpec(3600, "what time is it?"),))
    for seconds in (3605, 5, 3000):  # cut off before it has begun, while it thinks, and not at all
        with trio.move_on_after(seconds):
            async with open_system() as system:
                await system.spawn("clock", Agent, ticking, home)
                await trio.sleep_forever()
        journal.restarted()
        journal.hangs = False
    assert [len(request.messages) for request in clock.requests] == [1, 1]
    assert len(await journal.turns("home/clock", "main")) == 1
    assert await journal.due("home/clock", "what time is it?") == 1000.0 + 2 * 3600


# When it cannot be kept


class Full(MemoryJournal):
    """On a disk without room for answers."""

    full = True

    async def append(self, turn: str, records: Sequence[Record], taken: Sequence[str] = ()) -> None:
        if self.full and any(isinstance(record, ModelAnswered) for record in records):
            raise StoreFull(None, "no room is left on its disk")
        await super().append(turn, records, taken)


async def test_a_task_that_cannot_be_kept_is_told_and_goes_on_when_it_is_given_again() -> None:
    journal, ada = Full(), ScriptedModel(["lost", "It is 42."])
    home = Home(scripted_home(ada).models, journal)
    async with open_system() as system:
        ref = await system.spawn("ada", Agent, spec(), home)
        with pytest.raises(NotKept, match=r"home/ada cannot use its journal: .* no room is left"):
            await ref.ask(Task("go", id="t1"))
        journal.full = False
        assert (await ref.ask(Task("go", id="t1"))).text == "It is 42."
    assert [type(record).__name__ for record in await journal.records("t1")] == [
        "TurnBegan",
        "ModelCalled",
        "ModelAnswered",
        "TurnEnded",
    ]


async def test_a_note_whose_turn_cannot_be_kept_is_taken_up_again_by_itself(autojump_clock: MockClock) -> None:
    journal, ada = Full(), ScriptedModel(["lost", "noted"])
    home = Home(scripted_home(ada).models, journal)
    async with open_system() as system:
        ref = await system.spawn("ada", Agent, spec(), home)
        await home.post(ref, Note("it rains"))
        await trio.sleep(5)
        journal.full = False
        await trio.sleep(20)
    (turn,) = await journal.turns("home/ada", "main")
    assert isinstance((await journal.records(turn))[-1], TurnEnded)


async def test_a_clock_that_jumps_back_neither_stops_timers_nor_changes_the_order_of_turns(
    autojump_clock: MockClock,
) -> None:
    jumped = 0.0
    home = Home(
        scripted_home(ScriptedModel(["tick"], repeat=True)).models,
        MemoryJournal(),
        now=lambda: 100_000.0 + trio.current_time() - jumped,
    )
    async with open_system() as system:
        ref = await system.spawn("ada", Agent, spec(timers=(TimerSpec(60, "what time is it?"),)), home)
        await trio.sleep(90)
        jumped = 86_400.0
        await ref.ask(Task("go", id="t1"))
        await trio.sleep(140)
    turns = await home.journal.turns("home/ada", "main")
    assert len(turns) == 4
    assert turns[1] == "t1"


HELPER = ToolCall("c1", "spawn_agent", '{"name": "helper", "persona": "You help."}')


async def test_an_agent_that_another_one_has_started_goes_on_after_the_program_was_killed(
    autojump_clock: MockClock,
) -> None:
    journal = MemoryJournal()
    ask = Call("ask_agent", {"agent": "helper", "task": "help"})
    boss = ScriptedModel(
        [Call(HELPER.name, json.loads(HELPER.arguments)), ask, [Wait(60), Say("never")], [Wait(1), Say("helped")], "ok"]
    )
    home = home_of(journal, boss=boss)
    await until_cut_off(home, 5, agent("boss"), ask=Task("go", id="t1"), of="boss")
    journal.restarted()
    async with open_system() as system:
        await system.spawn("boss", Agent, agent("boss"), home)
        assert {ref.path for ref in Hub.of(system).find("agent")} == {"home/boss", "home/boss/helper"}
        await trio.sleep(2)
    assert [request.system for request in boss.requests[2:4]] == ["You help."] * 2
    assert "helped" in str(boss.requests[4].messages)
    end = (await journal.records("t1"))[-1]
    assert isinstance(end, TurnEnded)
    assert end.text == "ok"


@pytest.mark.parametrize("resume", [True, False])
async def test_a_step_that_has_started_an_agent_can_be_done_again(resume: bool) -> None:
    """Cut off when the agent was there, before that was recorded."""
    key = idempotency_key("t1", 2, HELPER)
    journal = MemoryJournal()
    message, finish = AssistantMessage((HELPER,)), Finish(FinishReason.TOOL_CALLS)
    answered = ModelAnswered(step=1, message=message, finish=finish)
    intent = ToolCalled(step=2, tool="spawn_agent", key=key, effect=Effect.IDEMPOTENT)
    await journal.append("t1", [began("go", "home/boss"), ModelCalled(step=1), answered, intent])
    await journal.keep_spawned("home/boss", "t1", Spawned("helper", "You help.", key))
    journal.restarted()
    boss = ScriptedModel(["started"])
    home = Home(home_of(journal, boss=boss).models, journal, resume=resume)
    async with open_system() as system:
        ref: ActorRef[Task] = await system.spawn("boss", Agent, agent("boss"), home)
        await ref.ask(Task("go", id="t1"))
    assert "home/boss/helper has started" in str(boss.requests[0].messages)


async def test_what_was_started_in_a_turn_that_is_over_is_not_brought_back_where_nothing_goes_on_by_itself() -> None:
    journal = MemoryJournal()
    await journal.append("t1", [began("go", "home/boss"), ended()])
    await journal.keep_spawned("home/boss", "t1", Spawned("helper", "You help.", "key"))
    home = Home(home_of(journal, boss=ScriptedModel([])).models, journal, resume=False)
    async with open_system() as system:
        await system.spawn("boss", Agent, agent("boss"), home)
        assert [ref.path for ref in Hub.of(system).find("agent")] == ["home/boss"]


async def test_what_an_agent_may_not_start_any_more_is_not_brought_back() -> None:
    journal = MemoryJournal()
    await journal.append("t1", [began("go", "home/boss")])
    await journal.keep_spawned("home/boss", "t1", Spawned("helper", "You help.", "key"))
    home = home_of(journal, boss=ScriptedModel([]))
    async with open_system() as system:
        await system.spawn("boss", Agent, agent("boss", spawn_depth=0), home)
        assert [ref.path for ref in Hub.of(system).find("agent")] == ["home/boss"]


async def test_an_agent_that_another_one_has_started_has_no_memory(tmp_path: Path) -> None:
    """It would be that of whoever has the name, which a model has chosen."""
    journal = MemoryJournal()
    await journal.append("t1", [began("go", "home/boss")])
    await journal.keep_spawned("home/boss", "t1", Spawned("helper", "You help.", "key"))
    boss = ScriptedModel(["here", "here"])
    async with open_home() as opened, open_system() as system:
        home = Home(home_of(journal, boss=boss).models, journal, resume=False, memories=opened._memories)
        remembers = MemorySpec(path=tmp_path / "m", tools=["remember"])
        await system.spawn("boss", Agent, agent("boss", memory=remembers), home)
        for path in ("home/boss", "home/boss/helper"):
            ref: ActorRef[Task] = system.ref(path, Agent)
            await ref.ask(Task("there?"))
    assert ["remember" in [one.name for one in request.tools] for request in boss.requests] == [True, False]
