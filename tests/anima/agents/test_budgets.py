"""Budgets that agents share: reserved before a call, settled after it, kept over restarts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from anima.actors import open_system
from anima.agents import Agent, Budget, Budgets, Home, Limits, MemoryJournal, Spent, StopReason, Task
from anima.config import load_tree
from anima.llm import FinishReason, Usage
from anima.testing import Call, End, Say, ScriptedModel, Wait, scripted_home
from anima_supervisors import BadSpec
from anima_tools import Effect, Toolbox, tool
from tests.anima.agents.homes import spec


@tool(effect=Effect.PURE)
async def look() -> str:
    """Look."""
    return "there"


def home_with(model: ScriptedModel, budget: Budget, journal: MemoryJournal | None = None) -> Home:
    return Home(scripted_home(model).models, journal, budgets=Budgets({"home": budget}))


async def test_when_a_shared_budget_is_used_up_the_turns_of_all_end_with_what_there_is() -> None:
    used = End(FinishReason.STOP, Usage(900, 100))
    model = ScriptedModel([[Say("first"), used], [Say("never said"), used]])
    home = home_with(model, Budget(tokens=1900))
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(), home)
        bob = await system.spawn("bob", Agent, spec("bob"), home)
        assert (await ada.ask(Task("go"))).text == "first"
        answer = await bob.ask(Task("go"))
    assert (answer.stop_reason, answer.text) == (StopReason.BUDGET_TOKENS, "")
    assert "shares with others" in (answer.error or "")
    assert len(model.requests) == 1


async def test_calls_at_the_same_time_do_not_overdraw_what_each_alone_would_not(autojump_clock: MockClock) -> None:
    model = ScriptedModel([[Wait(10), Say("said")], [Wait(10), Say("said")]])
    home = home_with(model, Budget(tokens=1900))
    reasons: list[StopReason] = []
    async with open_system() as system, trio.open_nursery() as nursery:

        async def ask(name: str) -> None:
            ref = await system.spawn(name, Agent, spec(name), home)
            reasons.append((await ref.ask(Task("go"))).stop_reason)

        nursery.start_soon(ask, "ada")
        nursery.start_soon(ask, "bob")
    assert sorted(reason.value for reason in reasons) == ["budget_tokens", "end_turn"]


async def test_calls_of_tools_count_and_the_partial_answer_is_kept() -> None:
    model = ScriptedModel([[Say("so far"), Call("look")], "more"])
    home = home_with(model, Budget(calls=1))
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(toolbox=Toolbox([look]), limits=Limits(turns=5)), home)
        answer = await ada.ask(Task("go"))
    assert (answer.stop_reason, answer.text) == (StopReason.BUDGET_CALLS, "so far")


async def test_what_was_spent_is_in_the_journal_and_not_forgotten_by_a_restart() -> None:
    journal = MemoryJournal()
    model = ScriptedModel([[Say("first"), End(FinishReason.STOP, Usage(900, 100))]])
    async with open_system() as system:
        ada = await system.spawn("ada", Agent, spec(), home_with(model, Budget(tokens=1900), journal))
        await ada.ask(Task("go"))
    assert await journal.spent() == {"home/ada": Spent(tokens=1000)}
    again = Budgets({"home": Budget(tokens=1900)}, await journal.spent())
    assert again.account("home/ada").reached(1000) is StopReason.BUDGET_TOKENS
    assert again.status() == {"home": "1,000 of 1,900 tokens"}


def test_a_budget_holds_for_everything_below_its_supervisor_and_for_nothing_else() -> None:
    budgets = Budgets({"home": Budget(tokens=100), "home/team": Budget(cost=1.0)})
    budgets.account("home/team/ada").spend(Spent(tokens=60, cost=1.0))
    assert budgets.account("home/team/bob").reached() is StopReason.BUDGET_COST
    assert budgets.account("home/teammate").reached(30) is None
    assert budgets.account("home/teammate").reached(50) is StopReason.BUDGET_TOKENS
    assert budgets.account("elsewhere/eve").reached(1000) is None


@given(st.lists(st.tuples(st.sampled_from(["home/a", "home/b", "home/c/d"]), st.integers(0, 50)), max_size=20))
def test_nothing_is_spent_beyond_a_budget_as_long_as_estimates_hold(calls: list[tuple[str, int]]) -> None:
    budgets = Budgets({"home": Budget(tokens=200), "home/c": Budget(tokens=60)})
    spent = {"home": 0, "home/c": 0}
    for agent, tokens in calls:
        account = budgets.account(agent)
        if account.reached(tokens) is None:
            with account.reserved(tokens):
                assert budgets.account("home/a").reached(201 - spent["home"] - tokens) is not None
            account.spend(Spent(tokens=tokens))
            spent["home"] += tokens
            spent["home/c"] += tokens if agent.startswith("home/c/") else 0
    assert spent["home"] <= 200
    assert spent["home/c"] <= 60


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
