"""The power is cut, at any operation of the disk: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest
import trio

from anima.store import Connect, Store, StoreError, open_store

from .power import Disk
from .stores import NOTES, put, texts

CUTS = 200 if os.environ.get("HYPOTHESIS_PROFILE") == "torture" else 20
TASKS = 6
WRITES = 12


async def _work(path: Path, connect: Connect) -> list[str]:
    """Write in several tasks until all is written or the power is gone; what was acknowledged."""
    acknowledged: list[str] = []

    async def write_on(store: Store, task: int) -> None:
        for n in range(WRITES):
            name = f"{task}.{n} {'x' * (200 * n)}"
            try:
                await store.write(put(f"{name} first", f"{name} second"))
            except StoreError:
                return
            acknowledged.extend([f"{name} first", f"{name} second"])

    try:
        async with open_store(path, NOTES, connect=connect) as store, trio.open_nursery() as nursery:
            for task in range(TASKS):
                nursery.start_soon(write_on, store, task)
    except StoreError:  # it was gone while the file was made
        pass
    return acknowledged


def _cut(folder: Path, random: Random, operations: int, hastily: bool = False) -> tuple[set[str], list[str]]:
    """What was acknowledged before a cut, and what is there after it."""
    before, after = folder / "before", folder / "after"
    before.mkdir(parents=True)
    after.mkdir()
    disk = Disk(random, after=random.randint(1, operations))
    acknowledged = trio.run(_work, before / "notes.db", disk.connect_hastily if hastily else disk.connect)
    disk.restore(after)
    disk.close()

    async def look() -> list[str]:
        async with open_store(after / "notes.db", NOTES) as store:
            await store.check()
            return await texts(store)

    return set(acknowledged), trio.run(look)


@pytest.fixture(scope="module")
def operations(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many the work takes when nothing happens."""
    disk = Disk(Random(0))
    acknowledged = trio.run(_work, tmp_path_factory.mktemp("whole") / "notes.db", disk.connect)
    disk.close()
    assert len(acknowledged) == 2 * TASKS * WRITES
    return disk.operations


def test_what_was_acknowledged_survives_and_nothing_is_half_there(tmp_path: Path, operations: int) -> None:
    kept = 0
    for seed in range(CUTS):
        acknowledged, found = _cut(tmp_path / str(seed), Random(seed), operations)
        assert acknowledged <= set(found), f"lost with seed {seed}"
        halves = {name.rpartition(" ")[0] for name in found}
        assert len(found) == 2 * len(halves), f"half a write with seed {seed}"
        kept += len(acknowledged)
    assert kept > CUTS, "the cuts come too early to show anything"


def test_cuts_find_out_who_does_not_sync(tmp_path: Path, operations: int) -> None:
    """Without this one the test above would show nothing."""

    def lost(seed: int) -> bool:
        acknowledged, found = _cut(tmp_path / str(seed), Random(seed), operations // 2, hastily=True)
        return not acknowledged <= set(found)

    assert any(lost(seed) for seed in range(20))
