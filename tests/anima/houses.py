"""Tree files in a folder with the jobs that they name, and runs of `anima supervise`: output, signals, end.

Nothing here waits for a time to pass: it waits for a line of output, for a word of a task, or for an end. `PATIENCE` is
only how long it waits before it calls that a failure.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

ANIMA = str(Path(sys.executable).with_name("anima"))
PATIENCE = 15.0
#: "Within a second", and what a busy machine needs to start and end a program.
A_SECOND = 1.6

JOBS = r"""
import json, os, signal, time

import trio


def tell(word):
    os.write(int(os.environ["TELL"]), f"{word}\n".encode())


async def live():
    await trio.sleep_forever()


async def announce(*, name):
    tell(name)
    await trio.sleep_forever()


async def told_to_stop(*, stop):
    await stop.wait()
    tell("asked to stop")


async def deaf(*, stop):
    while True:
        with trio.CancelScope(shield=True):
            tell("deaf")
            await trio.sleep_forever()


async def crash(*, message="boom"):
    await trio.lowlevel.checkpoint()
    raise ValueError(message)


async def crash_often(*, times, folder):
    file = os.path.join(folder, "crashes")
    with open(file, "a") as crashes:
        crashes.write("x")
    await trio.lowlevel.checkpoint()
    if os.path.getsize(file) <= times:
        raise ValueError("a long message " * 20)
    tell("survived")
    await trio.sleep_forever()


async def crash_first(*, folder):
    try:
        os.mkdir(os.path.join(folder, "crashed"))
    except FileExistsError:
        await trio.sleep_forever()
    raise ValueError("boom")


async def leave(*, code=None):
    await trio.lowlevel.checkpoint()
    raise SystemExit(code)


async def hang(*, task_status):
    tell("hangs")
    await trio.sleep_forever()


async def refuse(*, task_status):
    await trio.lowlevel.checkpoint()
    raise ValueError("not today")


async def block():
    handler = signal.getsignal(signal.SIGTERM)

    def interrupted(number, frame):
        handler(number, frame)
        tell("interrupted")

    await trio.lowlevel.checkpoint()
    signal.signal(signal.SIGTERM, interrupted)
    tell("blocks")
    while True:
        time.sleep(0.05)


async def block_in_one_go():
    await trio.lowlevel.checkpoint()
    tell("blocks")
    time.sleep(600)


async def unprintable():
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError("no text for this")

    await trio.lowlevel.checkpoint()
    raise Odd
"""

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Run:
    """One run of `anima supervise`, with what it wrote to each of its streams and what its tasks told us."""

    def __init__(self, command: Sequence[str], streams: Mapping[str, int], cwd: Path) -> None:
        """`streams`: a file descriptor for stdout and stderr where it is not to be a pipe that is read."""
        tell_read, tell_write = os.pipe()
        self._fds = {"told": tell_read}
        self._text = {"told": b"", "stdout": b"", "stderr": b""}
        ends: dict[str, int] = {}
        for name in ("stdout", "stderr"):
            if name in streams:
                ends[name] = streams[name]
            else:
                self._fds[name], ends[name] = os.pipe()
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=ends["stdout"],
            stderr=ends["stderr"],
            pass_fds=(tell_write,),
            cwd=cwd,
            env={**os.environ, "TELL": str(tell_write), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
        )
        for fd in {tell_write, *ends.values()}:
            os.close(fd)

    @property
    def pid(self) -> int:
        return self.process.pid

    def text(self, name: str) -> str:
        return ESCAPE.sub("", self._text[name].decode(errors="replace"))

    @property
    def out(self) -> str:
        return self.text("stdout")

    @property
    def log(self) -> str:
        return self.text("stderr")

    def raw(self, name: str) -> bytes:
        return self._text[name]

    def hold(self, name: str) -> None:
        """No longer read this stream: it fills up."""
        self._held = self._fds.pop(name)

    def let_go(self, name: str) -> None:
        """Close our end of this stream: who writes to it gets an error."""
        os.close(self._fds.pop(name))

    def until(self, *words: str, stream: str = "stderr") -> None:
        """Wait until the stream has had all these words."""
        self._read(lambda: all(word in self.text(stream) for word in words), f"{words} on {stream}")

    def until_told(self, word: str) -> None:
        self.until(f"{word}\n", stream="told")

    def send(self, *numbers: signal.Signals) -> None:
        for number in numbers:
            os.kill(self.pid, number)

    def end(self, patience: float = PATIENCE) -> int:
        """Wait for the end and read what is left; the exit status."""
        with open_pidfd(self.pid) as ended:
            self._read(lambda: ends(ended, 0), "the end", patience, ended)
        status = self.process.wait(PATIENCE)
        self._read(lambda: not self._fds, "the end of its output", 1.0)
        return status

    def _read(self, done: Callable[[], bool], what: str, patience: float = PATIENCE, *also: int) -> None:
        deadline = time.monotonic() + patience
        while not done():
            left = deadline - time.monotonic()
            assert left > 0, f"no {what} within {patience} s; told {self.text('told')!r}, log:\n{self.log}"
            ready, _, _ = select.select([*self._fds.values(), *also], [], [], left)
            before = dict(self._fds)
            for name, fd in before.items():
                if fd in ready:
                    try:
                        chunk = os.read(fd, 65536)
                    except OSError:  # how the last reader of a terminal learns that nobody is left
                        chunk = b""
                    self._text[name] += chunk
                    if not chunk:
                        os.close(self._fds.pop(name))
            assert self._fds or also or done(), f"it ended without {what}; log:\n{self.log}"

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in (*self._fds.values(), *([self._held] if hasattr(self, "_held") else [])):
            os.close(fd)


@contextlib.contextmanager
def open_pidfd(pid: int) -> Iterator[int]:
    fd = os.pidfd_open(pid)
    try:
        yield fd
    finally:
        os.close(fd)


def ends(pidfd: int, patience: float = PATIENCE) -> bool:
    """Whether the process ends within that time. A pidfd can be waited for without being the parent."""
    return bool(select.select([pidfd], [], [], patience)[0])


class House:
    """A folder with a tree file and the jobs it names, and the runs of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs: list[Run] = []
        (folder / "jobs.py").write_text(JOBS)

    def tree(self, text: str, name: str = "tree.toml") -> Path:
        file = self.folder / name
        file.write_text(f'version = 1\nroot = "home"\n{text}')
        return file

    def supervise(self, file: Path, *arguments: str, **streams: int) -> Run:
        run = Run([ANIMA, "supervise", str(file), *arguments], streams, self.folder)
        self._runs.append(run)
        return run

    def shell(self, command: str) -> Run:
        run = Run(["/bin/sh", "-c", command], {}, self.folder)
        self._runs.append(run)
        return run

    def events(self, name: str = "events.jsonl") -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def close(self) -> None:
        for run in self._runs:
            run.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    try:
        yield house
    finally:
        house.close()


def task(name: str, start: str, args: str = "", rest: str = "") -> str:
    return f'[tasks.{name}]\nstart = "jobs:{start}"\nargs = {{{args}}}\n{rest}\n'


def process(name: str, program: str, rest: str = "") -> str:
    return f'[processes.{name}]\ncommand = ["python", "-c", {json.dumps(program)}]\n{rest}\n'


def home(*children: str, rest: str = "") -> str:
    return f"[supervisors.home]\nchildren = {json.dumps(children)}\n{rest}\n"


def stop_order(run: Run) -> list[str]:
    return run.out.splitlines()[-1].removeprefix("stop order").split()


NO_WALL = ["Traceback", "Exception Group", "  |"]


def assert_no_wall(text: str) -> None:
    for brick in NO_WALL:
        assert brick not in text


def leaves_at_once(run: Run) -> None:
    """Send what is at least the second signal; it leaves within a second."""
    start = time.monotonic()
    run.send(signal.SIGINT)
    assert run.end(5.0) == 130
    assert time.monotonic() - start < A_SECOND


def pid_of(house: House, path: str, incarnation: int) -> int:
    return next(
        int(event["value"])
        for event in house.events()
        if (event["event"], event["path"], event["incarnation"]) == ("child.started", path, incarnation)
    )


def open_terminal() -> tuple[int, int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    return ours, theirs
