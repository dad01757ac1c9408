"""What a journal promises, of both kinds; each sentence holds for the one in memory and for the one on the disk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from anima.agents import JOURNAL, BegunAlready, Letter, Record, Retention, Spawned, StopReason, StoreJournal, list_runs
from anima.agents._records import ModelCalled, TurnBegan, TurnEnded
from anima.store import open_store
from tests.anima.journal.journals import InMemory, Kept, OnDisk, answered, began, called, ended, gave, one_turn


@pytest.fixture(params=["memory", "disk"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    async with AsyncExitStack() as stack:
        yield InMemory() if request.param == "memory" else await OnDisk(tmp_path, stack).open()


# append, records


async def test_records_come_back_in_the_order_in_which_they_were_kept(kept: Kept) -> None:
    for record in one_turn():
        await kept.journal.append("t1", [record])
    assert await kept.journal.records("t1") == tuple(one_turn())
    assert await (await kept.restarted()).records("t1") == tuple(one_turn())


async def test_a_turn_that_was_never_begun_has_no_records(kept: Kept) -> None:
    assert await kept.journal.records("t1") == ()


async def test_a_turn_can_be_begun_once(kept: Kept) -> None:
    await kept.journal.append("t1", [began()])
    with pytest.raises(BegunAlready):
        await kept.journal.append("t1", [began("another task"), ModelCalled(step=1)])
    with pytest.raises(BegunAlready):
        await (await kept.restarted()).append("t1", [began("another task")])
    assert await kept.journal.records("t1") == (began(),)


async def test_records_of_a_turn_that_was_never_begun_are_refused_not_dropped(kept: Kept) -> None:
    with pytest.raises(LookupError):
        await kept.journal.append("t1", [answered()])
    assert await kept.journal.records("t1") == ()


async def test_records_of_several_turns_that_are_kept_at_the_same_time_do_not_mix(kept: Kept) -> None:
    async def keep(turn: str) -> None:
        for record in one_turn():
            await kept.journal.append(turn, [record])

    async with trio.open_nursery() as nursery:
        for n in range(20):
            nursery.start_soon(keep, f"t{n}")
    for n in range(20):
        assert await kept.journal.records(f"t{n}") == tuple(one_turn())


# turns


async def test_turns_are_those_of_one_conversation_of_one_agent_in_the_order_of_their_beginning(kept: Kept) -> None:
    for turn, agent, conversation in [("t3", "a", "x"), ("t1", "a", "x"), ("t2", "b", "x"), ("t4", "a", "y")]:
        await kept.journal.append(turn, [began(agent=agent, conversation=conversation)])
    assert await kept.journal.turns("a", "x") == ("t3", "t1")
    assert await kept.journal.turns("a", "z") == ()
    assert await (await kept.restarted()).turns("a", "x") == ("t3", "t1")


# attempt, park


async def test_attempts_count_from_the_beginning_of_the_turn_also_over_restarts(kept: Kept) -> None:
    await kept.journal.append("t1", [began()])
    assert await kept.journal.attempt("t1") == 2
    assert await (await kept.restarted()).attempt("t1") == 3


@pytest.mark.parametrize("progress", [answered(), gave()], ids=["an answer", "a result"])
async def test_progress_forgets_the_attempts_before_it(kept: Kept, progress: Record) -> None:
    await kept.journal.append("t1", [began()])
    await kept.journal.attempt("t1")
    await kept.journal.append("t1", [progress])
    assert await kept.journal.attempt("t1") == 2


@pytest.mark.parametrize("intent", [ModelCalled(step=1), called()], ids=["asking", "calling"])
async def test_that_something_is_about_to_be_done_is_no_progress(kept: Kept, intent: Record) -> None:
    await kept.journal.append("t1", [began()])
    await kept.journal.attempt("t1")
    await kept.journal.append("t1", [intent])
    assert await kept.journal.attempt("t1") == 3


async def test_a_turn_that_was_parked_does_not_count_what_was_begun(kept: Kept) -> None:
    await kept.journal.append("t1", [began()])
    for _ in range(10):
        await kept.journal.park("t1")
        assert await (await kept.restarted()).attempt("t1") == 1


async def test_progress_after_parking_counts_as_it_does_without(kept: Kept) -> None:
    await kept.journal.append("t1", [began()])
    await kept.journal.park("t1")
    await kept.journal.append("t1", [answered()])
    assert await kept.journal.attempt("t1") == 1


# unfinished, put_aside


async def test_unfinished_are_the_open_turns_of_an_earlier_program_the_oldest_first(kept: Kept) -> None:
    for turn in ("t2", "t1", "t3"):
        await kept.journal.append(turn, [began()])
    await kept.journal.append("t1", [ended()])
    await kept.journal.append("t4", [began(agent="home/bob")])
    assert await kept.journal.unfinished("home/ada") == ()
    journal = await kept.restarted()
    await journal.append("t5", [began()])
    assert await journal.unfinished("home/ada") == ("t2", "t3")
    assert await journal.unfinished("home/bob") == ("t4",)


async def test_a_turn_that_is_taken_up_again_is_unfinished_only_for_the_next_program(kept: Kept) -> None:
    await kept.journal.append("t1", [began()])
    journal = await kept.restarted()
    await journal.attempt("t1")
    assert await journal.unfinished("home/ada") == ()
    assert await (await kept.restarted()).unfinished("home/ada") == ("t1",)


async def test_a_turn_that_was_put_aside_is_not_unfinished_and_keeps_its_records(kept: Kept) -> None:
    await kept.journal.append("t1", [began()])
    await kept.journal.put_aside("t1", "it crashed too often")
    journal = await kept.restarted()
    assert await journal.unfinished("home/ada") == ()
    assert await journal.records("t1") == (began(),)


# post, letters


async def test_letters_come_to_their_agent_in_the_order_of_the_post_until_they_are_seen(kept: Kept) -> None:
    first, second = Letter("n1", "one", "home/bob"), Letter("n2", "two")
    assert await kept.journal.post("home/ada", first)
    assert await kept.journal.post("home/ada", second)
    assert await kept.journal.letters("home/ada") == (first, second)
    assert await kept.journal.letters("home/bob") == ()
    await kept.journal.append("t1", [began()], taken=["n1"])
    assert await kept.journal.letters("home/ada") == (second,)
    assert await (await kept.restarted()).letters("home/ada") == (second,)


async def test_a_letter_that_is_posted_twice_is_kept_once_also_after_it_was_seen(kept: Kept) -> None:
    assert await kept.journal.post("home/ada", Letter("n1", "one"))
    assert not await kept.journal.post("home/ada", Letter("n1", "one again"))
    await kept.journal.append("t1", [began()], taken=["n1"])
    assert not await (await kept.restarted()).post("home/ada", Letter("n1", "one again"))
    assert await kept.journal.letters("home/ada") == ()


async def test_letters_are_not_seen_by_a_turn_that_could_not_be_begun(kept: Kept) -> None:
    await kept.journal.post("home/ada", Letter("n1", "one"))
    await kept.journal.append("t1", [began()])
    with pytest.raises(BegunAlready):
        await kept.journal.append("t1", [began()], taken=["n1"])
    assert await kept.journal.letters("home/ada") == (Letter("n1", "one"),)


# due, set_due


async def test_timers_are_remembered_by_agent_and_name(kept: Kept) -> None:
    assert await kept.journal.due("home/ada", "news?") is None
    await kept.journal.set_due("home/ada", "news?", 1.5)
    await kept.journal.set_due("home/ada", "news?", 2.5)
    await kept.journal.set_due("home/ada", "mail?", 7.0)
    journal = await kept.restarted()
    assert await journal.due("home/ada", "news?") == 2.5
    assert await journal.due("home/ada", "mail?") == 7.0
    assert await journal.due("home/bob", "news?") is None


# What no database keeps


async def test_half_surrogate_pairs_hinder_nothing(kept: Kept) -> None:
    half = "half \ud83d of a smile"
    first = began(half, conversation=half)
    await kept.journal.append("t1", [first, answered(half), ended(half, error=half)])
    assert await kept.journal.records("t1") == (first, answered(half), ended(half, error=half))
    assert await kept.journal.turns("home/ada", half) == ("t1",)
    assert await kept.journal.post("home/ada", Letter("n1", half, half))
    assert len(await kept.journal.letters("home/ada")) == 1
    await kept.journal.append("t2", [began()])
    await kept.journal.put_aside("t2", half)


async def test_what_ended_long_ago_is_let_go_and_what_is_open_stays(tmp_path: Path) -> None:
    now = [1000.0]
    async with open_store(tmp_path / "ada.journal", JOURNAL, owner="test") as store:
        journal = StoreJournal(store, lambda: now[0])
        for number in range(7):
            now[0] = 1000.0 + number
            await journal.append(f"t{number}", [TurnBegan(task="x", conversation="main", agent="home/ada")])
            if number not in (1, 4):
                await journal.append(f"t{number}", [TurnEnded(stop_reason=StopReason.END_TURN, text="")])
        await journal.put_aside("t1", "often")
        assert await journal.prune(Retention(keep=3.0)) == 2
        assert await journal.turns("home/ada", "main") == ("t1", "t3", "t4", "t5", "t6")
        assert await journal.records("t0") == ()
        # There is more than a byte: what has ended goes, but not what may be a part of what is open.
        assert await journal.prune(Retention(size=1)) == 1
        assert await journal.turns("home/ada", "main") == ("t1", "t4", "t5", "t6")
        now[0] = 2000.0  # what is open was given up long ago
        assert await journal.prune(Retention(keep=995.0, size=1)) == 2
        assert await journal.turns("home/ada", "main") == ("t1", "t4")


async def test_what_is_too_much_goes_and_no_more(tmp_path: Path) -> None:
    async with open_store(tmp_path / "ada.journal", JOURNAL, owner="test") as store:
        journal = StoreJournal(store, lambda: 1000.0)
        for number in range(40):
            await journal.append(f"t{number}", [began("x" * 40_000, remember=number == 0), ended()])
        await journal.keep_spawned("home/ada", "t1", Spawned("eve", "You are Eve.", "key"))
        gone = await journal.prune(Retention(size=900_000))
        left = await journal.turns("home/ada", "main")
        assert 15 <= len(left) <= 22
        assert gone == 40 - len(left)
        assert await journal.spawned("home/ada", now_open=False) == (Spawned("eve", "You are Eve.", "key"),)


async def test_a_clock_that_has_jumped_ahead_costs_no_turn_nor_does_a_memory_that_is_away(tmp_path: Path) -> None:
    now = [1000.0]
    async with open_store(tmp_path / "ada.journal", JOURNAL, owner="test") as store:
        journal = StoreJournal(store, lambda: now[0])
        await journal.append("t0", [began(remember=True), ended()])
        await journal.append("t1", [began(), ended()])
        now[0] += 1e9
        assert await journal.prune(Retention()) == 0
        await journal.append("t2", [began(), ended()])  # so it was true
        assert await journal.prune(Retention()) == 1
        assert await journal.turns("home/ada", "main") == ("t0", "t2")
        await journal.remembered("t0")
        assert await journal.prune(Retention()) == 1


async def test_what_cut_it_off_last_is_told_of_what_is_put_aside(tmp_path: Path) -> None:
    async with open_store(tmp_path / "ada.journal", JOURNAL, owner="test") as store:
        journal = StoreJournal(store)
        await journal.append("t1", [began()])
        await journal.failed("t1", "ValueError: a bad day")
        (run,) = await list_runs(store)
        assert (run.state, run.error) == ("open", "ValueError: a bad day")
        await journal.put_aside("t1", "too often")
        (run,) = await list_runs(store)
        assert (run.state, run.error) == ("aside", "too often; the last time by ValueError: a bad day")
