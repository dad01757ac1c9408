"""A program that writes is killed by SIGKILL, again and again: what it was told to be written is there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random

import trio

from anima.store import open_store

from .stores import NOTES, texts

KILLS = 200 if os.environ.get("HYPOTHESIS_PROFILE") == "torture" else 20

# Forks a writer for each line that it is sent, so that Python starts once; each writer says what was acknowledged.
WRITERS = """
import os, pathlib, sys, trio
from anima.store import open_store
from tests.anima.store.stores import NOTES, put

async def write_on(store, life, task):
    n = 0
    while True:
        name = f"{life}.{task}.{n}"
        await store.write(put(name + "a", name + "b"))
        os.write(1, (name + "\\n").encode())
        n += 1

async def main(path, life):
    async with open_store(path, NOTES, owner=f"life {life}") as store, trio.open_nursery() as nursery:
        for task in range(8):
            nursery.start_soon(write_on, store, life, task)

for life, _ in enumerate(sys.stdin):
    child = os.fork()
    if child == 0:
        trio.run(main, pathlib.Path(sys.argv[1]), life)
    os.write(1, f"pid {child}\\n".encode())
    os.waitpid(child, 0)
    os.write(1, b"dead\\n")
"""


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "notes.db"
    random = Random(9)
    acknowledged: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", WRITERS, str(path)],
        cwd=Path(__file__).parents[3],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
        bufsize=1,
    ) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        try:
            for _ in range(KILLS):
                program.stdin.write("go\n")
                _one_life(program.stdout, acknowledged, random.randint(1, 60))
            program.stdin.close()
            assert program.wait(10) == 0
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)

    async def look() -> list[str]:
        async with open_store(path, NOTES, owner="the test") as store:
            await store.check()
            assert store.epoch == KILLS + 1
            return await texts(store)

    found = trio.run(look)
    assert len(acknowledged) >= KILLS
    assert {name + half for name in acknowledged for half in "ab"} <= set(found)
    assert len(found) == 2 * len({name[:-1] for name in found}), "both halves of a write, or none"


def _one_life(lines: object, acknowledged: list[str], after: int) -> None:
    pid, seen = None, 0
    for line in lines:  # type: ignore[attr-defined]
        line = line.rstrip("\n")
        if line == "dead":
            return
        if line.startswith("pid "):
            pid = int(line.removeprefix("pid "))
        else:
            acknowledged.append(line)
            seen += 1
        if pid is not None and seen == after:
            os.kill(pid, signal.SIGKILL)
