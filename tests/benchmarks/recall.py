"""How well memory recalls, and how fast, through its public API.

    python tests/benchmarks/recall.py DATA.json [--pool] [--semantic] [--json]
    python tests/benchmarks/recall.py --size 100000 [--semantic] [--json]

DATA.json: `[{id, memories: [{id, text, time, speaker, session}], questions: [{text, gold, category}]}]`. Each dialogue
has a database of its own; with `--pool` all are in one, as one agent's. "Now" is an hour after the last memory. A
question's recall@k is the part of its gold that is among the first k; MRR is of the first gold one.

With `--size` it times adding and recalling among so many made-up memories instead.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import attrs
import trio

from anima.memory import AgentMemory, NewMemory, Source, open_memory

DEPTH = 100


@attrs.define
class Score:
    """What was measured so far."""

    recall5: list[float] = attrs.Factory(list)
    recall10: list[float] = attrs.Factory(list)
    reciprocal: list[float] = attrs.Factory(list)
    #: seconds of each recall
    latency: list[float] = attrs.Factory(list)
    memories: int = 0
    #: seconds of adding all
    adding: float = 0.0

    def add(self, found: Sequence[int], gold: set[int], seconds: float) -> None:
        self.recall5.append(len(gold.intersection(found[:5])) / len(gold))
        self.recall10.append(len(gold.intersection(found[:10])) / len(gold))
        self.reciprocal.append(next((1 / rank for rank, id in enumerate(found, 1) if id in gold), 0.0))
        self.latency.append(seconds)

    def summary(self) -> dict[str, float]:
        ways = statistics.quantiles(self.latency, n=100, method="inclusive")
        found = {
            "questions": len(self.latency),
            "memories": self.memories,
            "recall@5": statistics.fmean(self.recall5) if self.recall5 else None,
            "recall@10": statistics.fmean(self.recall10) if self.recall10 else None,
            "mrr": statistics.fmean(self.reciprocal) if self.reciprocal else None,
            "p50_ms": ways[49] * 1e3,
            "p95_ms": ways[94] * 1e3,
            "add_ms": self.adding / self.memories * 1e3,
        }
        return {name: round(value, 4) for name, value in found.items() if value is not None}


async def _remember(memory: AgentMemory, dialogue: dict[str, Any], score: Score) -> dict[str, int]:
    new = [
        NewMemory(
            row["text"],
            source=Source.USER,
            conversation=f"{dialogue['id']}/{row['session']}",
            speaker=row["speaker"],
            at=datetime.fromtimestamp(row["time"], UTC),
            chosen=False,
        )
        for row in dialogue["memories"]
    ]
    begin = time.perf_counter()
    ids = await memory.remember_many(new)
    score.adding += time.perf_counter() - begin
    score.memories += len(ids)
    return {row["id"]: id for row, id in zip(dialogue["memories"], ids, strict=True)}


async def _ask(memory: AgentMemory, dialogue: dict[str, Any], ids: dict[str, int], now: datetime, score: Score) -> None:
    for question in dialogue["questions"]:
        gold = {ids[name] for name in question["gold"] if name in ids}
        if not gold:
            continue
        begin = time.perf_counter()
        found = await memory.recall(question["text"], limit=10, now=now)
        seconds = time.perf_counter() - begin
        if not gold.intersection(each.memory.id for each in found):  # for the MRR; its time is another matter
            found = await memory.recall(question["text"], limit=DEPTH, now=now)
        score.add([each.memory.id for each in found], gold, seconds)


def _now(dialogues: Iterable[dict[str, Any]]) -> datetime:
    last = max(row["time"] for dialogue in dialogues for row in dialogue["memories"])
    return datetime.fromtimestamp(last, UTC) + timedelta(hours=1)


async def measure(dialogues: list[dict[str, Any]], pool: bool, semantic: bool) -> Score:
    """The score over all questions of all dialogues."""
    score = Score()
    groups = [dialogues] if pool else [[dialogue] for dialogue in dialogues]
    with tempfile.TemporaryDirectory() as folder:
        for number, group in enumerate(groups):
            async with open_memory(Path(folder) / f"{number}.db", semantic=semantic) as memories:
                memory = memories.of("benchmark")
                ids = [await _remember(memory, dialogue, score) for dialogue in group]
                await memory.recall("warm up")
                for dialogue, names in zip(group, ids, strict=True):
                    await _ask(memory, dialogue, names, _now(group if pool else [dialogue]), score)
    return score


async def measure_size(size: int, semantic: bool) -> Score:
    """Time among `size` memories of 8 to 24 words, which come as often as words do: a few very often (Zipf)."""
    random = Random(1)
    vocabulary = ["".join(random.choices("abcdefghijklmnoprstuw", k=random.randint(3, 9))) for _ in range(20_000)]
    weights = list(itertools.accumulate(1 / (rank + 10) for rank in range(len(vocabulary))))
    start = datetime(2025, 1, 1, tzinfo=UTC)

    def text(least: int, most: int) -> str:
        return " ".join(random.choices(vocabulary, cum_weights=weights, k=random.randint(least, most)))

    new = [
        NewMemory(
            text(8, 24),
            source=Source.USER,
            conversation=f"talk {n // 20}",
            speaker=("Ann", "Ben", "Cleo")[n % 3],
            at=start + timedelta(minutes=n),
            chosen=False,
        )
        for n in range(size)
    ]
    score = Score(memories=size)
    with tempfile.TemporaryDirectory() as folder:
        async with open_memory(Path(folder) / "size.db", semantic=semantic) as memories:
            memory = memories.of("benchmark")
            begin = time.perf_counter()
            await memory.remember_many(new)
            score.adding = time.perf_counter() - begin
            await memory.recall("warm up")
            for n in range(300):
                query = f"What did {('Ann', 'Ben', 'Cleo')[n % 3]} say about {text(2, 8)}?"
                begin = time.perf_counter()
                await memory.recall(query, limit=10)
                score.latency.append(time.perf_counter() - begin)
    return score


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure recall.")
    parser.add_argument("data", nargs="?", type=Path, help="dialogues with questions, as JSON")
    parser.add_argument("--pool", action="store_true", help="all dialogues in one database")
    parser.add_argument("--semantic", action="store_true", help="by meaning too, with the extra `semantic`")
    parser.add_argument("--size", type=int, help="time among so many made-up memories instead")
    parser.add_argument("--json", action="store_true", help="print one object")
    given = parser.parse_args()
    if (given.data is None) == (given.size is None):
        parser.error("give either DATA.json or --size")
    if given.size is not None:
        score = trio.run(measure_size, given.size, given.semantic)
    else:
        score = trio.run(measure, json.loads(given.data.read_text()), given.pool, given.semantic)
    summary = score.summary()
    if given.json:
        print(json.dumps(summary))
        return
    for name, value in summary.items():
        print(f"{name:10} {value:>10}", file=sys.stdout)


if __name__ == "__main__":
    main()
