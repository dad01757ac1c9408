"""What recall puts first, and that nothing makes it raise."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trio
from hypothesis import example, given
from hypothesis import strategies as st

from anima.memory import AgentMemory, NewMemory, open_memory
from anima.store import Store

NOW = datetime(2026, 5, 20, 12, tzinfo=UTC)


@pytest.fixture
async def memory() -> AsyncIterator[AgentMemory]:
    async with open_memory(None, clock=lambda: NOW) as memories:
        yield memories.of("ada")


async def texts(memory: AgentMemory, query: str) -> list[str]:
    return [found.memory.text for found in await memory.recall(query)]


def said(text: str, speaker: str = "", conversation: str = "", at: datetime | None = None) -> NewMemory:
    return NewMemory(text, speaker=speaker, conversation=conversation, at=at or NOW, chosen=False)


async def test_question_words_do_not_count(memory: AgentMemory) -> None:
    await memory.remember_many([said("what did you do when he was there?"), said("a heron at the pond")])
    assert await texts(memory, "When did you see what was a heron?") == ["a heron at the pond"]


async def test_a_query_of_stop_words_only_is_searched_for_as_it_is(memory: AgentMemory) -> None:
    await memory.remember_many([said("to be or not to be"), said("something else")])
    assert (await texts(memory, "to be or not to be"))[0] == "to be or not to be"


async def test_words_are_found_in_other_forms(memory: AgentMemory) -> None:
    await memory.remember_many([said("she paints sunrises"), said("he sings")])
    assert await texts(memory, "painted a sunrise") == ["she paints sunrises"]


async def test_a_key_is_found_as_well(memory: AgentMemory) -> None:
    await memory.remember("blue", key="favourite colour")
    assert await texts(memory, "Which colour is the favourite?") == ["blue"]


async def test_what_was_said_around_an_answer_helps_it(memory: AgentMemory) -> None:
    await memory.remember_many(
        [
            said("Where did you spend the holidays?", "Ann", "a"),
            said("In Norway, with a tent.", "Ben", "a"),
            said("I like norwegian cheese", "Ann", "b"),
        ]
    )
    assert (await texts(memory, "holidays spent where"))[:2] == [
        "Where did you spend the holidays?",
        "In Norway, with a tent.",
    ]


async def test_neighbours_are_of_the_same_conversation(memory: AgentMemory) -> None:
    await memory.remember_many([said("holidays!", "Ann", "a"), said("unrelated", "Ben", "b")])
    assert await texts(memory, "holidays") == ["holidays!"]


async def test_the_one_person_who_is_named_comes_first(memory: AgentMemory) -> None:
    lines = [said("I love hiking", name, name) for name in ("Ann", "Ben Smith", "Cleo")]
    await memory.remember_many(lines)
    found = await memory.recall("Does Ben love hiking?")
    assert found[0].memory.speaker == "Ben Smith"
    assert len(found) == 3


@pytest.mark.parametrize(
    ("query", "month", "day"),
    [
        ("what did we plant yesterday?", 5, 19),
        ("what did we plant in April", 4, 10),
        ("plant 2026-03", 3, 3),
        ("plant 2026-03-03", 3, 3),
        ("what did we plant 2 weeks ago?", 5, 6),
        ("what did we plant on 6 May 2026?", 5, 6),
        ("what did we plant on May 6th?", 5, 6),
    ],
)
async def test_a_query_can_ask_for_a_time(memory: AgentMemory, query: str, month: int, day: int) -> None:
    days = [(5, 20), (5, 19), (5, 6), (4, 10), (3, 3)]
    await memory.remember_many(
        said(f"we plant tree number {n}", at=datetime(2026, *date, tzinfo=UTC)) for n, date in enumerate(days)
    )
    (first, *_) = await memory.recall(query)
    assert (first.memory.at.month, first.memory.at.day) == (month, day)


async def test_a_time_alone_is_enough(memory: AgentMemory) -> None:
    await memory.remember_many(
        [said("roses", at=datetime(2026, 5, 19, 8, tzinfo=UTC)), said("tulips", at=datetime(2026, 5, 1, tzinfo=UTC))]
    )
    assert await texts(memory, "What was yesterday?") == ["roses"]


async def test_what_was_chosen_is_important_new_or_repeated_comes_first_among_equals(memory: AgentMemory) -> None:
    old = datetime(2024, 1, 1, tzinfo=UTC)
    betters: list[dict[str, Any]] = [{"chosen": True}, {"importance": 2.0}, {"at": NOW}]
    for n, better in enumerate(betters):
        usual: dict[str, Any] = {"chosen": False, "at": old}
        await memory.remember_many([NewMemory(f"cat{n} a", **(usual | better)), NewMemory(f"cat{n} b", **usual)])
        assert (await texts(memory, f"cat{n}"))[0] == f"cat{n} a"
    for text in ("dog a", "dog b", "dog a"):
        await memory.remember(text, at=old)
    assert (await texts(memory, "dog"))[0] == "dog a"


async def test_age_does_not_make_a_memory_unreachable(memory: AgentMemory) -> None:
    await memory.remember_many([said("the safe opens with 4711", at=datetime(2001, 1, 1, tzinfo=UTC))])
    await memory.remember_many(said(f"the weather of day {n}, safe and sound") for n in range(50))
    assert (await texts(memory, "how does the safe open"))[0] == "the safe opens with 4711"


async def test_languages(memory: AgentMemory) -> None:
    await memory.remember_many([said("Мы поехали в Москву"), said("Der Bär schläft"), said("हिन्दी में लिखा")])
    assert await texts(memory, "москву") == ["Мы поехали в Москву"]
    assert await texts(memory, "BAR") == ["Der Bär schläft"]
    assert await texts(memory, "हिन्दी") == ["हिन्दी में लिखा"]


@example('"')
@example("a AND NOT b OR (c* NEAR ^d) - text:x {x}: \0 ' \" ;")
@example("\ud800 \udfff")
@example("31 february 0000-00 99 years ago in may 0000")
@example("9999-12-31 in december 9999 999 years ago")
@example("ǅ ﬁ ß İ ² ½ 漢字かな 🐍 ́ ")
@given(
    query=st.text() | st.lists(st.sampled_from(["may", "-", "2023", "NEAR", "(", '"', "*", "in", "12"])).map(" ".join)
)
def test_no_query_makes_it_raise(query: str) -> None:
    async def run() -> None:
        async with open_memory(None) as memories:
            memory = memories.of("ada")
            await memory.remember("may 2023, near (12)", conversation="c", speaker="in")
            await memory.recall(query)
            await memory.search(query)
            await memory.inject(query, 200)
            await memory.get(query)

    trio.run(run)


async def test_a_very_long_query_is_no_trouble(memory: AgentMemory) -> None:
    await memory.remember("needle")
    assert await texts(memory, "needle " + " ".join(f"word{n}" for n in range(20_000))) == ["needle"]


class Spy:
    """A store that notes how SQLite goes about each query."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.steps: list[str] = []

    async def read(self, work: Callable[[Any], Any]) -> Any:
        def explained(connection: Any) -> Any:
            self._connection = connection
            return work(self)

        return await self._store.read(explained)

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        rows = self._connection.execute("EXPLAIN QUERY PLAN " + sql, parameters).fetchall()
        self.steps += [row[3] for row in rows]
        return self._connection.execute(sql, parameters)


async def test_nothing_that_is_read_takes_a_look_at_all_rows() -> None:
    async with open_memory(None, clock=lambda: NOW) as memories:
        memory = memories.of("ada", ["team:red"])
        kept = await memory.remember("x", conversation="c", speaker="Ann", key="k", run="r")
        spy = memory._store = Spy(memories.store)  # type: ignore[assignment]
        assert len(await memory.recall("x Ann yesterday")) == 1
        await memory.show(kept.id)
        await memory.entries(before=7)
        await memory.entries(key="k")
        await memory.entries(run="r")
        await memory.entries(conversation="c")
        await memory.search("x")
        assert [line async for line in memory.export_lines()] != []
    assert len(spy.steps) > 20
    for step in spy.steps:
        assert not step.endswith("(space=?)"), "that would be all of an agent's"
        # one page of them in the order of their ids, what FTS5 finds, and lists in JSON
        assert not step.startswith("SCAN") or step == "SCAN m" or "VIRTUAL TABLE" in step or step == "SCAN p", step
