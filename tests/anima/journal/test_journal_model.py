"""Whatever is done, in whatever order, whenever the program is killed: on the disk stands what stands in memory.

Killed means that nothing is flushed: the next program finds what the kernel had at that moment.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from anima.agents import BegunAlready, Journal, Letter, Spawned
from anima.agents._records import ModelCalled
from tests.anima.journal.journals import InMemory, OnDisk, answered, began, called, ended, gave

TURNS = ("t0", "t1", "t2")
AGENTS = ("home/ada", "home/bob")
CONVERSATIONS = ("main", "other")
LETTERS = ("n0", "n1", "n2")
TIMERS = ("news?", "mail?")

turns, agents = st.sampled_from(TURNS), st.sampled_from(AGENTS)
letters, timers = st.sampled_from(LETTERS), st.sampled_from(TIMERS)
later = st.lists(
    st.sampled_from([ModelCalled(step=1), answered(), called(), gave(), ended(), ended(error="broken")]), max_size=3
)
beginnings = st.builds(
    lambda agent, conversation, remember: began(agent=agent, conversation=conversation, remember=remember),
    agents,
    st.sampled_from(CONVERSATIONS),
    st.booleans(),
)


@attrs.frozen
class Call:
    """One call of a method."""

    method: str
    arguments: tuple[Any, ...]
    options: tuple[tuple[str, Any], ...] = ()

    async def of(self, journal: Journal) -> Any:
        """What it returns, or raises."""
        try:
            found = await getattr(journal, self.method)(*self.arguments, **dict(self.options))
            return set(found) if self.method == "unremembered" else found  # not when that was
        except (BegunAlready, LookupError) as error:
            return type(error) if isinstance(error, BegunAlready) else LookupError


@attrs.frozen
class Kill:
    """The program ends here, and another one begins."""


def call(method: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[Call]:
    return st.builds(lambda *found: Call(method, found), *arguments)


# Only what was posted can be taken: that is filtered where it is done.
deeds = st.one_of(
    call("append", turns, st.builds(lambda first, rest: [first, *rest], beginnings, later), st.lists(letters)),
    call("append", turns, later, st.lists(letters)),
    call("attempt", turns),
    call("park", turns),
    call("put_aside", turns, st.just("too often")),
    call("remembered", turns),
    call("keep_spawned", agents, turns, st.builds(Spawned, st.sampled_from(["x", "y"]), st.just("You."), turns)),
    call("post", agents, st.builds(Letter, letters, st.sampled_from(["hello", "bye"]), agents)),
    call("set_due", agents, timers, st.floats(0, 1e9)),
    st.builds(Kill),
)

LOOKS: list[Call] = [
    *(Call("records", (turn,)) for turn in TURNS),
    *(Call("turns", (agent, conversation)) for agent in AGENTS for conversation in CONVERSATIONS),
    *(Call("unfinished", (agent,)) for agent in AGENTS),
    *(Call("unremembered", (agent,)) for agent in AGENTS),
    *(Call("spawned", (agent,), (("now_open", now_open),)) for agent in AGENTS for now_open in (True, False)),
    *(Call("letters", (agent,)) for agent in AGENTS),
    *(Call("due", (agent, timer)) for agent in AGENTS for timer in TIMERS),
]


async def seen(journal: Journal) -> dict[Call, Any]:
    """All that can be seen of a journal."""
    return {look: await look.of(journal) for look in LOOKS}


def _possible(deed: Call, begun: set[str], posted: set[str]) -> Call | None:
    """As it can happen: only turns that were begun are worked on, only letters that came are taken."""
    turn = deed.arguments[0]
    match deed.method:
        case "append":
            _, records, taken = deed.arguments
            return Call("append", (turn, records, [id for id in taken if id in posted]))
        case "attempt" | "park" | "put_aside" | "remembered" if turn not in begun:
            return None
        case "keep_spawned" if deed.arguments[1] not in begun:
            return None
    return deed


@settings(max_examples=1000 if os.environ.get("HYPOTHESIS_PROFILE") == "torture" else 60)
@given(st.lists(deeds, max_size=25))
async def test_the_journal_on_the_disk_holds_what_the_one_in_memory_holds(plan: list[Call | Kill]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with AsyncExitStack() as stack:
            model, disk = InMemory(), await OnDisk(Path(folder), stack).open()
            begun, posted = set[str](), set[str]()
            for deed in [*plan, Kill()]:
                if isinstance(deed, Kill):
                    await disk.restarted()
                    await model.restarted()
                    assert await seen(disk.journal) == await seen(model.journal)
                    continue
                possible = _possible(deed, begun, posted)
                if possible is None:
                    continue
                expected = await possible.of(model.journal)
                assert await possible.of(disk.journal) == expected, possible
                match possible:
                    case Call("append", (turn, _, _)) if expected is None and await model.journal.records(turn):
                        begun.add(turn)
                    case Call("post", (_, letter)):
                        posted.add(letter.id)
            assert await seen(disk.journal) == await seen(model.journal)
