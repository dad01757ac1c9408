"""Budgets that agents share: reserved before a call, settled after it, kept over restarts."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from anima.actors import ActorRef, open_system
from anima.agents import Agent, Budget, Budgets, Home, Limits, MemoryJournal, Record, Spent, StopReason, Task
from anima.agents import _said as said
from anima.agents._thinking import LANDING_SECONDS
from anima.config import load_tree
from anima.llm import FinishReason, ModelSpec, Price, ToolChoice, ToolMessage, Usage
from anima.testing import Call, End, Say, ScriptedModel, Wait, scripted_home
from anima_supervisors import BadSpec
from anima_tools import Effect, Toolbox, tool
from tests.anima.agents.homes import spec

NAMED = ModelSpec(provider="scripted", model="scripted")


@tool(effect=Effect.PURE)
async def look() -> str:
    """Look."""
    return "there"


def home_with(model: ScriptedModel, budget: Budget, journal: MemoryJournal | None = None) -> Home:
    return Home(scripted_home(model).models, journal, budgets=Budgets({"home": budget}))


async def test_when_a_shared_budget_has_no_room_turns_give_a_last_answer_and_then_end_at_once() -> None:
    used = End(FinishReason.STOP, Usage(900, 100))
    model = ScriptedModel([[Say("first"), used], [Say("as good as I can"), used]])
    home = home_with(model, Budget(tokens=3000))
    async with open_system() as system:
        refs = [await system.spawn(name, Agent, spec(name), home) for name in ("ada", "bob", "eve")]
        answers = [await ref.ask(Task("go")) for ref in refs]
    assert [(answer.stop_reason, answer.text) for answer in answers] == [
        (StopReason.END_TURN, "first"),
        (StopReason.BUDGET_TOKENS, "as good as I can"),
        (StopReason.BUDGET_TOKENS, ""),
    ]
    assert "2,000 of 3,000 tokens of the budget of home are spent, and the next call may need 1," in str(
        answers[2].error
    )
    assert [request.tool_choice for request in model.requests] == [ToolChoice.AUTO, ToolChoice.NONE]


@pytest.mark.parametrize("budget", [Budget(tokens=2500), Budget(cost=0.025)])
async def test_calls_at_the_same_time_do_not_overdraw_what_each_alone_would_not(
    budget: Budget, autojump_clock: MockClock
) -> None:
    model = ScriptedModel([[Wait(10), Say("said"), End(FinishReason.STOP, Usage(900, 100))]], repeat=True)
    home = home_with(model, budget)
    prices = {"scripted": Price(10.0, 10.0)}  # a dollar for 100,000 tokens
    reasons: list[StopReason] = []
    async with open_system() as system, trio.open_nursery() as nursery:

        async def ask(name: str) -> None:
            ref = await system.spawn(name, Agent, spec(name, model=NAMED, prices=prices), home)
            reasons.append((await ref.ask(Task("go"))).stop_reason)

        for name in ("ada", "bob", "eve"):
            nursery.start_soon(ask, name)
    used_up = StopReason.BUDGET_COST if budget.tokens is None else StopReason.BUDGET_TOKENS
    assert Counter(reasons) == {StopReason.END_TURN: 2, used_up: 1}
    assert len(model.requests) == 2


async def test_where_others_have_reserved_what_is_left_it_is_waited_for_what_they_leave(
    autojump_clock: MockClock,
) -> None:
    model = ScriptedModel([[Wait(10), Say("said")]], repeat=True)  # a few tokens, of the thousand that it may need
    home = home_with(model, Budget(tokens=2500))
    async with open_system() as system, trio.open_nursery() as nursery:

        async def ask(name: str) -> None:
            ref = await system.spawn(name, Agent, spec(name), home)
            assert (await ref.ask(Task("go"))).complete

        for number in range(8):
            nursery.start_soon(ask, f"agent{number}")
    assert trio.current_time() == pytest.approx(40)  # two at a time


async def test_who_waits_for_room_is_parked_and_interrupted_like_any_other(autojump_clock: MockClock) -> None:
    model = ScriptedModel([[Wait(10), Say("said")]], repeat=True)
    home = home_with(model, Budget(tokens=2500))
    answers: dict[str, StopReason] = {}
    async with open_system() as system, trio.open_nursery() as nursery:

        async def ask(name: str, ref: ActorRef[Task]) -> None:
            answers[name] = (await ref.ask(Task("go", id=name))).stop_reason

        for name in ("ada", "bob", "eve", "fay"):
            nursery.start_soon(ask, name, await system.spawn(name, Agent, spec(name), home))
            await trio.testing.wait_all_tasks_blocked()
        assert home.interrupt("eve")
        await trio.sleep(1)
        home.park()
    assert answers.pop("eve") is StopReason.CANCELLED
    assert set(answers.values()) == {StopReason.SUPERVISOR_SHUTDOWN}
    assert len(model.requests) == 2


LONG = "word " * 400


@pytest.mark.parametrize("budget", [Budget(calls=1), Budget(tokens=4000)])
async def test_a_long_conversation_is_summarized_where_the_budget_has_room_and_ends_the_turn_where_not(
    budget: Budget,
) -> None:
    """Calls of tools have nothing to do with it."""
    model = ScriptedModel([LONG, "in short", "the end"])
    home = home_with(model, budget)
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(context_tokens=600), home)
        assert (await ada.ask(Task("talk"))).complete
        home.budgets.account("home/ada").spend(Spent(tokens=3300 - 600, calls=1))
        answer = await ada.ask(Task("go on"))
    expected = StopReason.BUDGET_CALLS if budget.tokens is None else StopReason.BUDGET_TOKENS
    assert answer.stop_reason is expected
    assert answer.text == ("the end" if budget.tokens is None else "")


async def hold(home: Home, tokens: int, seconds: float) -> None:
    """Somebody else's call, which takes long."""
    with home.budgets.account("home/other").reserved(Spent(tokens=tokens)):
        await trio.sleep(seconds)


async def test_who_waits_for_room_longer_than_its_time_leaves_out_the_summary_and_lands(
    autojump_clock: MockClock,
) -> None:
    model = ScriptedModel([LONG, "as good as I can"])
    home = home_with(model, Budget(tokens=10_000))
    limited = spec(context_tokens=600, limits=Limits(seconds=30))
    async with open_system() as system, trio.open_nursery() as nursery:
        ada = await system.spawn("ada", Agent, limited, home)
        assert (await ada.ask(Task("talk"))).complete
        nursery.start_soon(hold, home, 9000, 50.0)
        await trio.testing.wait_all_tasks_blocked()
        answer = await ada.ask(Task("go on"))
    assert (answer.stop_reason, answer.text) == (StopReason.BUDGET_TIME, "as good as I can")
    assert trio.current_time() == pytest.approx(50)


async def test_a_last_answer_does_not_wait_for_ever_however_often_others_settle(autojump_clock: MockClock) -> None:
    home = home_with(ScriptedModel([]), Budget(tokens=10_000))
    limited = spec(limits=Limits(seconds=30))

    async def hold_again_and_again() -> None:
        while True:
            async with trio.open_nursery() as both:  # one ends while the other one lasts
                both.start_soon(hold, home, 4500, 20.0)
                both.start_soon(hold, home, 4600, 21.0)

    async with open_system() as system, trio.open_nursery() as nursery:
        ada = await system.spawn("ada", Agent, limited, home)
        for _ in range(2):
            nursery.start_soon(hold, home, 4800, 1000.0)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(hold_again_and_again)
        answer = await ada.ask(Task("go"))
        nursery.cancel_scope.cancel()
    assert answer.stop_reason is StopReason.BUDGET_TIME
    assert "others have reserved" in (answer.error or "")
    assert trio.current_time() <= 30 + 2 * LANDING_SECONDS


async def test_what_was_asked_before_and_is_asked_again_is_reserved_again(autojump_clock: MockClock) -> None:
    journal = MemoryJournal()
    model = ScriptedModel([[Wait(10), Say("said"), End(FinishReason.STOP, Usage(900, 100))]], repeat=True)
    budget = Budget(tokens=2500)
    first = Home(scripted_home(model).models, journal, budgets=Budgets({"home": budget}))

    async def ask(names: str, home: Home) -> None:
        async with open_system() as system, trio.open_nursery() as nursery:
            for name in names.split():
                ref = await system.spawn(name, Agent, spec(name), home)
                nursery.start_soon(ref.ask, Task("go", id=name))
            if home is first:
                await trio.sleep(1)
                home.park()

    await ask("ada bob", first)
    journal.restarted()
    again = Home(first.models, journal, budgets=Budgets({"home": budget}, await journal.spent()))
    await ask("ada bob eve fay", again)
    assert sum([one.tokens for one in (await journal.spent()).values()]) <= 2500


async def test_who_came_first_gets_room_first(autojump_clock: MockClock) -> None:
    """Also where it needs more than those who came later."""
    order: list[str] = []
    home = home_with(ScriptedModel([]), Budget(tokens=3000))

    async def take(name: str, tokens: int) -> None:
        account, need = home.budgets.account(f"home/{name}"), Spent(tokens=tokens)
        while not account.fits(need):
            await account.wait_for_room(need)
        with account.reserved(need):
            order.append(name)
            await trio.sleep(1)

    async with trio.open_nursery() as nursery:
        for name, tokens in (("first", 2000), ("big", 2800), ("small", 500), ("other", 500)):
            nursery.start_soon(take, name, tokens)
            await trio.testing.wait_all_tasks_blocked()
    assert order[:2] == ["first", "big"]
    assert sorted(order[2:]) == ["other", "small"]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 60), st.integers(1, 5), st.booleans()), max_size=12))
def test_whoever_waits_for_room_in_several_budgets_gets_it(plan: list[tuple[bool, int, int, bool]]) -> None:
    """Whatever others take meanwhile, in both budgets or in the outer one, also where some give up."""
    trio.run(_take_turns, plan, clock=MockClock(autojump_threshold=0))


async def _take_turns(plan: list[tuple[bool, int, int, bool]]) -> None:
    budgets = Budgets({"home": Budget(tokens=100), "home/in": Budget(tokens=60)})

    async def take(inner: bool, tokens: int, seconds: int, gives_up: bool) -> None:
        account, need = budgets.account("home/in/a" if inner else "home/b"), Spent(tokens=tokens)
        with contextlib.ExitStack() as stack, trio.move_on_after(seconds if gives_up else math.inf):
            stack.callback(account.leave)
            while not account.fits(need):
                await account.wait_for_room(need)
            with account.reserved(need):
                await trio.sleep(seconds)

    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            for one in plan:
                nursery.start_soon(take, *one)
    assert budgets.account("home/in/a").fits(Spent(tokens=60))


async def test_who_waits_for_room_in_one_budget_is_in_nobodys_way_in_another(autojump_clock: MockClock) -> None:
    model = ScriptedModel(["said"])
    budgets = Budgets({"home": Budget(tokens=10_000_000), "home/in": Budget(tokens=9000)})
    home = Home(scripted_home(model).models, budgets=budgets)
    inner, more = budgets.account("home/in/a"), budgets.account("home/in/b")
    async with open_system() as system, trio.open_nursery() as nursery:
        with inner.reserved(Spent(tokens=8000)):
            assert not more.fits(Spent(tokens=4000))
            nursery.start_soon(more.wait_for_room, Spent(tokens=4000))
            await trio.testing.wait_all_tasks_blocked()
            ada = await system.spawn("ada", Agent, spec(), home)
            assert (await ada.ask(Task("go"))).complete
            assert trio.current_time() == 0


async def test_an_answer_that_was_only_to_be_looked_at_once_more_is_the_answer_where_there_is_no_room_for_that() -> (
    None
):
    model = ScriptedModel([[Say("the answer"), End(FinishReason.STOP, Usage(3000, 0))]])
    home = home_with(model, Budget(tokens=5000))
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(reflection=True), home)
        answer = await ada.ask(Task("go"))
    assert (answer.stop_reason, answer.text) == (StopReason.END_TURN, "the answer")


async def test_calls_of_tools_are_not_overdrawn_by_those_who_call_at_the_same_time(autojump_clock: MockClock) -> None:
    slow = SlowJournal()
    model = ScriptedModel([[Say("so far"), Call("look"), Call("look")], "that is all"], repeat=True)
    home = Home(scripted_home(model).models, slow, budgets=Budgets({"home": Budget(calls=3)}))
    async with open_system() as system, trio.open_nursery() as nursery:
        for name in ("ada", "bob", "eve"):
            ref = await system.spawn(name, Agent, spec(name, toolbox=Toolbox([look])), home)
            nursery.start_soon(ref.ask, Task("go"))
    assert sum([one.calls for one in (await slow.spent()).values()]) == 3


class SlowJournal(MemoryJournal):
    """Each write takes a moment, in which others look at the same budget."""

    async def append(self, turn: str, records: Sequence[Record], taken: Sequence[str] = ()) -> None:
        await trio.sleep(0.1)
        await super().append(turn, records, taken)


async def test_at_the_last_call_of_a_tool_others_are_refused_and_the_answer_lands() -> None:
    model = ScriptedModel([[Say("so far"), Call("look"), Call("look")], "that is all"])
    home = home_with(model, Budget(calls=1))
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(toolbox=Toolbox([look]), limits=Limits(turns=5)), home)
        answer = await ada.ask(Task("go"))
    assert (answer.stop_reason, answer.text) == (StopReason.BUDGET_CALLS, "that is all")
    results = model.requests[1].messages[-2]
    assert isinstance(results, ToolMessage)
    assert [result.content for result in results.results] == ["there", said.NO_CALLS_LEFT_TOGETHER]


async def test_the_model_is_told_once_when_a_shared_budget_is_nearly_used_up() -> None:
    model = ScriptedModel([[Call("look"), End(FinishReason.TOOL_CALLS, Usage(8000, 0))], Call("look"), "done"])
    home = home_with(model, Budget(tokens=20_000))
    home.budgets.account("home/bob").spend(Spent(tokens=8000))
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(toolbox=Toolbox([look])), home)
        assert (await ada.ask(Task("go"))).complete
    assert "have used 16,000 of 20,000 tokens of home together" in str(model.requests[1].messages[-1])
    assert ["together" in str(request.messages[-1]) for request in model.requests] == [False, True, False]


async def test_what_was_spent_is_in_the_journal_and_not_forgotten_by_a_restart() -> None:
    journal = MemoryJournal()
    model = ScriptedModel([[Say("first"), End(FinishReason.STOP, Usage(900, 100))]])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(), home_with(model, Budget(tokens=4000), journal))
        await ada.ask(Task("go"))
    assert await journal.spent() == {"home/ada": Spent(tokens=1000)}
    again = Budgets({"home": Budget(tokens=1900)}, await journal.spent())
    assert again.account("home/ada").reached(Spent(tokens=1000)) is StopReason.BUDGET_TOKENS
    assert again.status() == {"home": "1,000 of 1,900 tokens"}


def test_a_budget_holds_for_everything_below_its_supervisor_and_for_nothing_else() -> None:
    budgets = Budgets({"home": Budget(tokens=100), "home/team": Budget(cost=1.0)})
    budgets.account("home/team/ada").spend(Spent(tokens=60, cost=1.0))
    assert budgets.account("home/team/bob").reached() is StopReason.BUDGET_COST
    assert budgets.account("home/teammate").reached(Spent(tokens=30)) is None
    assert budgets.account("home/teammate").reached(Spent(tokens=50)) is StopReason.BUDGET_TOKENS
    assert budgets.account("elsewhere/eve").reached(Spent(tokens=1000)) is None


needs = st.builds(Spent, tokens=st.integers(0, 50), cost=st.integers(0, 5).map(float), calls=st.integers(0, 3))
deeds = st.tuples(st.sampled_from(["home/a", "home/b", "home/c/d"]), needs, st.booleans())


@given(st.lists(deeds, max_size=30))
def test_nothing_is_spent_beyond_a_budget_as_long_as_estimates_hold(deeds: list[tuple[str, Spent, bool]]) -> None:
    """Whatever is going on at the same time: some calls last until the end."""
    limits = {"home": Budget(tokens=200, cost=10.0, calls=8), "home/c": Budget(tokens=60)}
    budgets = Budgets(limits)
    spent = dict.fromkeys(limits, Spent())
    with contextlib.ExitStack() as lasting:
        for agent, need, lasts in deeds:
            account = budgets.account(agent)
            if account.reached(need) is not None or not account.fits(need):
                continue
            if lasts:
                lasting.enter_context(account.reserved(need))
                lasting.callback(account.spend, need)
            else:
                with account.reserved(need):
                    account.spend(need)
            for path in limits:
                if agent.startswith(f"{path}/"):
                    spent[path] += need
    for path, limit in limits.items():
        for name, most in attrs.asdict(limit).items():
            assert most is None or getattr(spent[path], name) <= most
    assert budgets.account("home/c/d").reached() == _used_up(limits, spent)


def _used_up(limits: dict[str, Budget], spent: dict[str, Spent]) -> StopReason | None:
    """The first limit of which nothing is left when all reservations are given back."""
    found = [
        name
        for path, limit in limits.items()
        for name in ("tokens", "cost", "calls")
        if getattr(limit, name) is not None and getattr(spent[path], name) >= getattr(limit, name)
    ]
    return StopReason(f"budget_{found[0]}") if found else None


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"cost": -1.0}, {"calls": 0}])
def test_a_budget_of_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(BadSpec, match="above 0"):
        Budget(**wrong)


def test_a_tree_file_gives_its_supervisors_budgets(tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text('[[answers]]\nsay = "x"\n')
    agent = '[agents.{0}.llm]\nprovider = "scripted"\nfile = "script.toml"\n'
    (tmp_path / "tree.toml").write_text(
        'version = 1\nroot = "home"\n[supervisors.home]\nchildren = ["ada", "team"]\nbudget = { tokens = 1000 }\n'
        '[supervisors.team]\nchildren = ["bob"]\nbudget = { cost = 0.5, calls = 3 }\n'
        + agent.format("ada")
        + agent.format("bob")
    )
    tree = load_tree(tmp_path / "tree.toml")
    assert tree.budgets == {"home": Budget(tokens=1000), "home/team": Budget(cost=0.5, calls=3)}
