"""Killed anywhere, as often as you like: every turn ends, with the right answer, and nothing is lost or done twice.

The tree lives in programs that are killed (`kill_loop.py`); the model, which they ask over HTTP, lives here, and so do
the checks, after each life. 20 rounds, 200 in the torture profile. With `-s` it prints where it was killed how often.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from anima.agents import (
    ModelAnswered,
    ModelCalled,
    Record,
    ToolAnswered,
    ToolCalled,
    TurnBegan,
    TurnEnded,
    journal_file,
)
from anima.agents._codec import Codec
from anima_tools import Effect, ToolCall
from tests.anima.journal import kill_loop
from tests.anima.journal.kill_loop import DONE, PARKED
from tests.servers.answers import Answer
from tests.servers.model_server import Asked, serve

ROUNDS = 200 if os.environ.get("HYPOTHESIS_PROFILE") == "torture" else 20
#: So often it is killed in one round, at most.
KILLS = 6
#: A write of each kind and an effect of each kind, before and after. Each has to come in 20 rounds.
POINTS = [
    f"{when} {what}"
    for what in (
        "append TurnBegan",
        "append ModelCalled",
        "append ModelAnswered",
        "append ToolCalled",
        "append ToolAnswered",
        "append TurnEnded",
        "attempt",
        "remembered",
        "keep_spawned",
        "park",
        "post",
        "set_due",
        "external effect",
        "keyed effect",
        "pure effect",
    )
    for when in ("before", "after")
]
CODEC = Codec()


# The model


def brain(asked: Asked, number: int) -> Answer:
    """What the model says: a function of what it is told, so that it is the same whoever asks, and how often."""
    messages = asked.body["messages"]
    found = re.search(r"You are (\w+) of round (\d+)\.", str(messages[0]["content"]))
    assert found is not None
    name, round = found[1], int(found[2])
    since = _since_told(messages)
    done = sum(message["role"] == "assistant" for message in since)
    results = {str(message["content"]) for message in since if message["role"] == "tool"}
    plan = {"boss": _boss, "ada": _ada, "bob": _bob, "clock": _clock, "helper": _helps}[name](
        round, str(since[0]["content"]), results
    )
    if done < len(plan):
        calls = [
            ToolCall(f"c{number}-{n}", tool, json.dumps(arguments)) for n, (tool, arguments) in enumerate(plan[done])
        ]
        return Answer(text=f"[answer {number}]", calls=calls)
    said = " ".join(sorted(text for text in results if text.startswith("The double"))) if name == "boss" else "Done."
    if name == "ada":
        said = f"The double is {next(text for text in results if text.isdigit())}."
    return Answer(text=f"{re.sub(r' .answer .*', '', said)} [answer {number}]")


Plan = list[list[tuple[str, dict[str, Any]]]]


def _since_told(messages: list[Any]) -> list[Any]:
    last = max(n for n, message in enumerate(messages) if message["role"] == "user")
    return messages[last:]


def _boss(round: int, told: str, results: set[str]) -> Plan:
    return [
        [("send", {"what": f"first of {round}"}), ("double", {"number": 1000 + round})],
        [("put", {"what": f"boss of {round}"}), ("tell_agent", {"agent": "bob", "text": f"note 1 of round {round}"})],
        [("ask_agent", {"agent": "ada", "task": f"double {round} for round {round}"}), ("spawn_agent", _helper(round))],
        [("ask_agent", {"agent": "home/boss/helper", "task": "help"})],
        [("send", {"what": f"second of {round}"}), ("tell_agent", _note(2, round)), ("tell_agent", _note(3, round))],
        [("publish", {"topic": "news", "text": f"note 4 of round {round}"})],
    ]


def _helper(round: int) -> dict[str, Any]:
    return {"name": "helper", "persona": f"You are helper of round {round}."}


def _note(number: int, round: int) -> dict[str, Any]:
    return {"agent": "bob", "text": f"note {number} of round {round}"}


def _ada(round: int, told: str, results: set[str]) -> Plan:
    return [[("double", {"number": round}), ("send", {"what": f"third of {round}"})]]


def _helps(round: int, told: str, results: set[str]) -> Plan:
    return [[("double", {"number": 2000 + round})]]


def _bob(round: int, told: str, results: set[str]) -> Plan:
    return [[("put", {"what": note}) for note in re.findall(r"note \d of round \d+", told)]]


def _clock(round: int, told: str, results: set[str]) -> Plan:
    return [[("put", {"what": f"tick of {round}"})]]


# What is left


@attrs.define
class Round:
    """What is known of one round: its files, as they are after each life."""

    number: int
    folder: Path
    turns: dict[str, list[Record]] = attrs.field(factory=dict)
    states: dict[str, str] = attrs.field(factory=dict)

    def look(self) -> None:
        """Read the journal, and check what has to hold after each life, whatever happened in it."""
        before = self.turns
        self.turns, self.states = self._read()
        for turn, records in before.items():
            assert self.turns[turn][: len(records)] == records, f"records of {turn} were changed"
        for fact in self.facts("kept"):
            kept = [CODEC.encode(record) for record in self.turns[fact["turn"]]]
            assert set(fact["bodies"]) <= set(kept), f"an acknowledged record of {fact['turn']} is lost"

    def _read(self) -> tuple[dict[str, list[Record]], dict[str, str]]:
        file = journal_file(self.folder, kill_loop.NAME)
        if not file.exists():
            return {}, {}
        turns: dict[str, list[Record]] = defaultdict(list)
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:
            assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'turns'").fetchall():
                return {}, {}
            states = dict(connection.execute("SELECT id, state FROM turns").fetchall())
            rows = connection.execute(
                "SELECT t.id, r.number, r.body FROM records r JOIN turns t ON t.number = r.turn ORDER BY t.id, r.number"
            )
            for turn, number, body in rows:
                turns[turn].append(CODEC.decode(body, turn))
                assert number == len(turns[turn]), f"a record of {turn} is missing"
        return dict(turns), states

    def facts(self, file: str) -> list[dict[str, Any]]:
        path = self.folder / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def check(self, requests: Mapping[int, str]) -> Counter[str]:
        """All that has to hold at its end. Figures."""
        assert set(self.states.values()) == {"ended"}, self.states
        for turn, records in self.turns.items():
            _no_gap(turn, records)
        boss = self.turns[f"round-{self.number}"]
        assert isinstance(boss[-1], TurnEnded)
        assert boss[-1].text.startswith(f"The double is {2 * self.number}."), boss[-1]
        agents = Counter(records[0].agent for records in self.turns.values() if isinstance(records[0], TurnBegan))
        bob = agents.pop("home/bob")
        assert agents == dict.fromkeys(["home/boss", "home/ada", "home/clock", "home/boss/helper"], 1), agents
        assert bob >= 1
        doubts = self._check_effects()
        self._check_letters()
        self._check_memory()
        self._check_answers(requests)
        return Counter(turns=len(self.turns), records=sum(map(len, self.turns.values())), doubts=doubts)

    def _check_effects(self) -> int:
        """No keyed effect under two keys, no external one twice, no doubt that is not told. The number of doubts."""
        records = [record for records in self.turns.values() for record in records]
        called = {record.key: record for record in records if isinstance(record, ToolCalled)}
        effects = self.facts("effects")
        assert {effect["key"] for effect in effects} <= called.keys(), "something was done that nobody had recorded"
        keys = defaultdict(set)
        for effect in effects:
            keys[effect["kind"], effect["what"]].add(effect["key"])
        assert {len(found) for found in keys.values()} == {1}, keys
        notes = {f"note {n} of round {self.number}" for n in (1, 2, 3, 4)}
        keyed = {what for kind, what in keys if kind == "keyed"}
        assert keyed == {*notes, f"boss of {self.number}", f"tick of {self.number}"}
        times = Counter(effect["key"] for effect in effects if effect["kind"] == "external")
        assert set(times.values()) <= {1}, "an external effect was repeated"
        lives = {effect["key"]: effect["life"] for effect in effects}
        doubts = 0
        for turn in self.turns.values():
            results = {record.step: record.result for record in turn if isinstance(record, ToolAnswered)}
            for record in turn:
                if isinstance(record, ToolCalled) and record.effect is Effect.EXTERNAL:
                    result = results[record.step]
                    if result.failed:
                        assert "not known whether" in result.content
                        doubts += 1
                    else:
                        assert result.content == f"sent by life {lives[record.key]}"
        return doubts

    def _check_letters(self) -> None:
        """Each was seen once: as a turn of its own, or in the middle of another."""
        seen: Counter[str] = Counter()
        for records in self.turns.values():
            for record in records:
                if isinstance(record, TurnBegan):
                    seen.update(re.findall(r"> (note \d)", record.task))
                elif isinstance(record, ModelCalled):
                    seen.update(
                        note for told in record.told if told.id for note in re.findall(r"> (note \d)", told.text)
                    )
        assert seen == Counter({"note 1": 1, "note 2": 1, "note 3": 1, "note 4": 1})

    def _check_memory(self) -> None:
        """What was asked of the one that remembers, and what it answered: each once."""
        with closing(sqlite3.connect(f"file:{self.folder}/ada.memory?mode=ro", uri=True)) as connection:
            rows = connection.execute("SELECT text, count FROM memory ORDER BY id").fetchall()
        asked, answered = f"double {self.number} for round {self.number}", f"The double is {2 * self.number}."
        assert [(text.partition(" [")[0], count) for text, count in rows] == [(asked, 1), (answered, 1)]

    def _check_answers(self, requests: Mapping[int, str]) -> None:
        """What was recorded was never asked for again."""
        for records in self.turns.values():
            for record in records:
                if isinstance(record, ModelAnswered):
                    found = re.search(r"\[answer (\d+)\]", record.message.text)
                    assert found is not None
                    number = int(found[1])
                    again = [other for other, asked in requests.items() if other > number and asked == requests[number]]
                    assert not again, f"answer {number} was recorded, and asked for again by {again}"


def _no_gap(turn: str, records: list[Record]) -> None:
    assert isinstance(records[0], TurnBegan)
    assert isinstance(records[-1], TurnEnded)
    asked = Counter(record.step for record in records if isinstance(record, ModelCalled))
    answered = Counter(record.step for record in records if isinstance(record, ModelAnswered))
    called = Counter(record.step for record in records if isinstance(record, ToolCalled))
    gave = Counter(record.step for record in records if isinstance(record, ToolAnswered))
    assert asked == answered, turn
    assert called == gave, turn
    assert sorted((*asked, *called)) == list(range(1, len(asked) + len(called) + 1)), turn
    assert set((asked + called).values()) == {1}, turn


# Lives


@attrs.define
class Killer:
    """Decides where the next life ends. A third of the lives end where fewest have ended so far."""

    random: random.Random
    killed: Counter[str] = attrs.field(factory=Counter)
    crossed: Counter[str] = attrs.field(factory=Counter)
    ends: Counter[str] = attrs.field(factory=Counter)

    def order(self) -> dict[str, Any]:
        kind = self.random.random()
        if kind < 0.6:
            least = min(self.killed[point] for point in POINTS)
            point = self.random.choice([point for point in POINTS if self.killed[point] == least])
            nth = self.random.choice([1, 1, 2]) if least else 1  # some are crossed once in a round
            order: dict[str, Any] = {"at": point, "nth": nth}
            return order | ({"park": self.random.uniform(0, 0.1)} if point.endswith("park") else {})
        if kind < 0.8:
            return {"at": "", "nth": self.random.randint(1, 60)}
        return {"seconds": self.random.uniform(0.01, 0.3)}


@asynccontextmanager
async def lives() -> AsyncIterator[Any]:
    """Begins lives: each call is one."""
    async with trio.open_nursery() as nursery:
        command = [sys.executable, kill_loop.__file__]
        start = functools.partial(trio.run_process, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process = await nursery.start(start)

        async def live(**order: Any) -> dict[str, Any]:
            await process.stdin.send_all((json.dumps(order) + "\n").encode())
            said = b""
            while not said.endswith(b"\n"):
                said += await process.stdout.receive_some()
            return dict(json.loads(said))

        yield live
        await process.stdin.aclose()


@pytest.mark.skipif(sys.platform != "linux", reason="pidfd_open")
async def test_killed_anywhere_and_started_again_every_turn_ends_and_nothing_is_done_twice(tmp_path: Path) -> None:
    requests: dict[int, str] = {}

    def script(asked: Asked) -> Answer:
        number = len(requests) + 1
        requests[number] = hashlib.sha256(json.dumps(asked.body["messages"]).encode()).hexdigest()
        return brain(asked, number)

    killer, figures = Killer(random.Random(7)), Counter[str]()
    async with serve(script) as server, lives() as live:
        for number in range(1, ROUNDS + 1):
            round = Round(number, tmp_path / str(number))
            round.folder.mkdir()
            kills = 0
            while True:
                order = killer.order() if kills < KILLS else {}
                ended = await live(folder=str(round.folder), url=server.url, round=number, **order)
                said = (round.folder / "said").read_text()
                assert ended["status"] in (DONE, PARKED, -9), said
                assert not ended["late"], (order, said)
                round.look()
                killer.ends["at a point" if "at" in order else "at random"] += ended["status"] == -9
                kills += 1
                if ended["status"] == DONE:
                    break
                assert order, f"it does not come to its end: {round.states}\n{said}"
            figures += round.check(requests)
            for fact in round.facts("points"):
                killer.crossed.update([fact["crossed"]] if "crossed" in fact else [])
                killer.killed.update([fact["killed"]] if "killed" in fact else [])
    print(f"\n{ROUNDS} rounds, killed {dict(killer.ends)}; {len(requests)} requests; {dict(figures)}")
    for point in sorted(killer.crossed):
        print(f"{point:40} crossed {killer.crossed[point]:6}  killed there {killer.killed[point]:4}")
    missed = [point for point in POINTS if not killer.killed[point]]
    assert len(missed) == 0, missed
