"""`anima supervise tree.toml`, as its users run it: a program of its own, its output, its signals, its exit status.

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
from datetime import datetime
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


# A run that ends by itself


class GaveUp:
    """One run of a tree that gives up, looked at by several tests."""

    def __init__(self, house: House) -> None:
        (house.folder / "events.jsonl").write_text('{"event": "of the run before"}\n')
        file = house.tree(
            home("steady", "pipeline", rest="intensity = 0")
            + '[supervisors.pipeline]\nchildren = ["worker"]\nintensity = 2\nperiod = "30s"\n'
            + task("steady", "live")
            + task("worker", "crash")
        )
        self.run = house.supervise(file, "--events", "events.jsonl")
        self.status = self.run.end()
        self.events = house.events()


@pytest.fixture(scope="module")
def gave_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GaveUp]:
    house = House(tmp_path_factory.mktemp("gave_up"))
    try:
        yield GaveUp(house)
    finally:
        house.close()


def test_a_root_that_gives_up_ends_with_status_1_and_says_why(gave_up: GaveUp) -> None:
    assert gave_up.status == 1
    (last,) = [line for line in gave_up.run.log.splitlines() if line.startswith("anima: ")]
    assert "home gave up" in last
    assert "ValueError: boom" in last


def test_a_crash_is_shown_once_with_the_frames_of_its_author_only(gave_up: GaveUp) -> None:
    log = gave_up.run.log
    assert log.count("Traceback (most recent call last):") == 1
    assert len(re.findall(r'File "(.*)", line', log)) == 1
    assert "raise ValueError(message)" in log
    assert "Group" not in log


def test_the_log_tells_each_crash_and_each_restart_against_the_limit(gave_up: GaveUp) -> None:
    log = gave_up.run.log
    assert [f"worker #{number} crashed" in log for number in (1, 2, 3, 4)] == [True, True, True, False]
    assert "home/pipeline/worker #2 restarts (restart 1/2 in 30 s)" in log
    assert "home/pipeline #1 gives up" in log


def test_the_summary_has_starts_restarts_outage_and_stop_order(gave_up: GaveUp) -> None:
    lines = gave_up.run.out.splitlines()
    assert [line.split() for line in lines[:2]] == [["starts", "6"], ["restarts", "2"]]
    assert re.fullmatch(r"longest outage \d+ ms \(home/pipeline/worker\)", lines[2])
    assert stop_order(gave_up.run)[-1] == "steady"


def test_events_are_json_lines_with_time_event_path_and_incarnation(gave_up: GaveUp) -> None:
    before, *events = gave_up.events
    assert before == {"event": "of the run before"}, "events are appended"
    for event in events:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", event["time"])
        assert event["path"] in ("home", "home/steady", "home/pipeline", "home/pipeline/worker")
        assert event["incarnation"] >= 1
    times = [datetime.fromisoformat(event["time"]) for event in events]
    assert times == sorted(times)
    worker = [(event["event"], event["incarnation"]) for event in events if event["path"].endswith("worker")]
    assert worker == [
        ("child.starting", 1),
        ("child.started", 1),
        ("child.exited", 1),
        ("child.restart_scheduled", 2),
        ("child.starting", 2),
        ("child.started", 2),
        ("child.exited", 2),
        ("child.restart_scheduled", 3),
        ("child.starting", 3),
        ("child.started", 3),
        ("child.exited", 3),
    ]


def test_with_log_format_json_all_of_stderr_is_json(house: House) -> None:
    run = house.supervise(house.tree(home("a", rest="intensity = 1") + task("a", "crash")), "--log-format", "json")
    assert run.end() == 1
    records = [json.loads(line) for line in run.log.splitlines()]
    assert {"INFO", "ERROR"} == {record["level"] for record in records}
    assert [record["event"] for record in records].count("child.restart_scheduled") == 1


def test_after_the_time_of_for_it_stops_in_order_with_status_0(house: House) -> None:
    file = house.tree(
        home("a", "b", "in") + '[supervisors.in]\nchildren = ["c"]\n' + "".join(task(x, "live") for x in "abc")
    )
    run = house.supervise(file, "--for", "50ms")
    assert run.end() == 0
    assert stop_order(run) == ["in/c", "in", "b", "a"]
    assert_no_wall(run.log)


def test_the_time_of_for_ends_a_start_that_hangs(house: House) -> None:
    run = house.supervise(house.tree(home("a") + task("a", "hang")), "--for", "50ms")
    run.until_told("hangs")
    assert run.end(5.0) == 0


@pytest.mark.parametrize("arguments", [[], ["--for", "1m"]], ids=["", "with --for"])
def test_the_system_exit_of_a_child_is_that_of_the_program(house: House, arguments: list[str]) -> None:
    expected = {"code = 7": (7, ""), 'code = "bye, bye"': (1, "\nbye, bye\n"), "": (0, "")}
    runs = {
        code: house.supervise(
            house.tree(home("a", "b") + task("a", "live") + task("b", "leave", code), f"{number}.toml"), *arguments
        )
        for number, code in enumerate(expected)
    }
    assert {code: run.end() for code, run in runs.items()} == {code: status for code, (status, _) in expected.items()}
    for code, run in runs.items():
        assert expected[code][1] in run.log  # a text is told as Python tells it
        assert "a" in stop_order(run)
        assert "Group" not in run.log
        assert run.log.count("Traceback") <= 1


def test_a_significant_child_that_is_done_ends_the_program_with_status_0(house: House) -> None:
    job = '[processes.job]\ncommand = ["true"]\nrestart = "transient"\nsignificant = true\n'
    run = house.supervise(
        house.tree(home("a", "job", rest='auto_shutdown = "any_significant"') + task("a", "live") + job)
    )
    assert run.end() == 0
    assert "home #1 shuts down: home/job is done" in run.log


def test_a_first_start_that_fails_ends_with_status_1_and_one_traceback(house: House) -> None:
    inner = '[supervisors.in]\nchildren = ["b"]\n'
    run = house.supervise(house.tree(home("a", "in") + inner + task("a", "live") + task("b", "refuse")))
    assert run.end() == 1
    assert "home/a #1 stopped" in run.log
    assert "anima: home/in did not start: " in run.log
    assert run.log.count('raise ValueError("not today")') == 1
    assert "direct cause" not in run.log


def test_an_error_that_cannot_be_printed_is_a_crash_like_any_other(house: House) -> None:
    run = house.supervise(house.tree(home("a", rest="intensity = 1") + task("a", "unprintable")))
    assert run.end() == 1
    assert "home/a #1 crashed" in run.log
    assert "home gave up" in run.log
    assert "Exception in thread" not in run.log


# Before anything starts


def test_check_draws_the_tree_and_starts_nothing(house: House) -> None:
    file = house.tree(
        home("a", "in")
        + '[supervisors.in]\nchildren = ["p"]\nbackoff = {initial = "20s"}\n'
        + task("a", "announce", 'name = "started"')
        + process("p", f"open({str(house.folder / 'started')!r}, 'w')")
    )
    run = house.supervise(file, "--check", "--events", "events.jsonl")
    assert run.end() == 0
    assert [line.split("  ")[0] for line in run.out.splitlines()[:3]] == ["home", "├─ a", "└─ in"]
    assert "└─ p  process  permanent" in run.out
    assert "note: home/in: " in run.log
    assert run.text("told") == ""
    assert {"started", "events.jsonl"}.isdisjoint(os.listdir(house.folder))


def test_a_wrong_file_ends_with_status_2_and_all_mistakes_and_starts_nothing(house: House) -> None:
    file = house.tree(
        home("a", "b", rest='stratgy = "one_for_all"')
        + task("a", "announce", 'name = "started"')
        + task("b", "liv", rest="shutdown = 5")
    )
    run = house.supervise(file, "--events", "events.jsonl")
    assert run.end() == 2
    assert run.log.splitlines() == [
        f"anima: {file} cannot be used:",
        "  supervisors.home.stratgy: unknown key (did you mean 'strategy'?)",
        '  tasks.b.shutdown: must be a duration like "5s", or "kill", or "never", not 5 (write "5s")',
        "  tasks.b.start: jobs has no 'liv' (did you mean 'live'?)",
    ]
    assert (run.text("told"), run.out) == ("", "")
    assert not (house.folder / "events.jsonl").exists()


def test_a_slip_in_the_toml_and_a_missing_file_end_with_status_2_and_the_place(house: House) -> None:
    slip = house.supervise(house.tree('root = "again"\n'))
    missing = house.supervise(house.folder / "none.toml")
    assert (slip.end(), missing.end()) == (2, 2)
    assert "is not valid TOML: Cannot overwrite a value (at line 3" in slip.log
    assert "none.toml cannot be used:\n  cannot be read: No such file or directory" in missing.log
    assert_no_wall(slip.log + missing.log)


def test_a_file_of_events_that_cannot_be_written_ends_with_status_2_and_starts_nothing(house: House) -> None:
    file = house.tree(home("a") + task("a", "announce", 'name = "started"'))
    folder = house.supervise(file, "--events", str(house.folder))
    nowhere = house.supervise(file, "--events", "nowhere/events.jsonl")
    assert (folder.end(), nowhere.end()) == (2, 2)
    assert "--events" in folder.log
    assert "Is a directory" in folder.log
    assert "--events nowhere/events.jsonl: No such file or directory" in nowhere.log
    assert (folder.text("told"), nowhere.text("told")) == ("", "")


# Signals

TRAPS = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("ready", flush=True)
signal.pause()
"""
IGNORES = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
while True: signal.pause()
"""
READY = 'ready = {line = "ready"}'


EITHER = (signal.SIGINT, signal.SIGTERM)


def test_one_signal_stops_in_order_with_status_0(house: House) -> None:
    file = house.tree(home("a", "p", "b") + task("a", "live") + process("p", TRAPS, READY) + task("b", "told_to_stop"))
    runs = {number: house.supervise(file) for number in EITHER}
    for number, run in runs.items():
        run.until("home #1 started")
        run.send(number)
    for run in runs.values():
        assert run.end() == 0
        assert stop_order(run) == ["b", "p", "a"]
        assert "asked to stop" in run.text("told")
        assert_no_wall(run.log)


def test_a_signal_ends_a_wait_for_a_restart(house: House) -> None:
    backoff = 'backoff = {initial = "10m", maximum = "10m", jitter = 0}'
    run = house.supervise(house.tree(home("a", "b", rest=backoff) + task("a", "live") + task("b", "crash")))
    run.until("home/b #2 restarts in 600.00 s")
    run.send(signal.SIGINT)
    assert run.end(5.0) == 0


def test_a_signal_ends_a_start_that_hangs_in_order_with_status_0(house: House) -> None:
    file = house.tree(home("a", "b") + task("a", "live") + task("b", "hang"))
    runs = {number: house.supervise(file) for number in EITHER}
    for number, run in runs.items():
        run.until_told("hangs")
        run.send(number)
    for run in runs.values():
        assert run.end(5.0) == 0
        assert "home/a #1 stopped" in run.log
        assert_no_wall(run.log)  # nobody has made a mistake


def leaves_at_once(run: Run) -> None:
    """Send what is at least the second signal; it leaves within a second."""
    start = time.monotonic()
    run.send(signal.SIGINT)
    assert run.end(5.0) == 130
    assert time.monotonic() - start < A_SECOND


def test_a_second_signal_leaves_at_once_and_kills_what_refuses_to_stop(house: House) -> None:
    file = house.tree(
        home("p", "deaf")
        + process("p", IGNORES, READY + '\nshutdown = "never"')
        + task("deaf", "deaf", rest='shutdown = "never"')
    )
    run = house.supervise(file, "-v", "--events", "events.jsonl")
    run.until("home #1 started")
    run.until_told("deaf")
    with open_pidfd(pid_of(house, "home/p", 1)) as child:
        run.send(signal.SIGINT)
        run.until("home/deaf #1 is asked to stop")
        leaves_at_once(run)
        assert ends(child)


def test_two_signals_leave_at_once_while_a_task_blocks_the_loop(house: House) -> None:
    run = house.supervise(
        house.tree(home("p", "b") + process("p", IGNORES, READY) + task("b", "block")), "--events", "events.jsonl"
    )
    run.until_told("blocks")
    run.until("home/p #1 started")
    with open_pidfd(pid_of(house, "home/p", 1)) as child:
        run.send(signal.SIGTERM)
        run.until_told("interrupted")
        leaves_at_once(run)
        assert ends(child)


def test_two_signals_at_one_moment_leave_at_once_while_a_task_blocks_the_loop(house: House) -> None:
    # Python runs handlers in the main thread only, and what comes just before that one falls asleep, or to another
    # thread, wakes nobody. Chance decides, so there are some runs.
    file = house.tree(home("b") + task("b", "block_in_one_go"))
    runs = [house.supervise(file) for _ in range(4)]
    for run in runs:
        run.until_told("blocks")
        run.until("home #1 started")
    for run in runs:
        run.send(signal.SIGTERM, signal.SIGINT)
    assert [run.end(5.0) for run in runs] == [130] * 4


def test_two_signals_leave_at_once_while_a_start_blocks_the_loop(house: House) -> None:
    jobs = house.folder / "jobs.py"
    jobs.write_text(JOBS + "\n\nasync def block_start(*, task_status):\n    await block()\n")
    run = house.supervise(house.tree(home("b") + task("b", "block_start")))
    run.until_told("blocks")
    run.send(signal.SIGTERM)
    run.until_told("interrupted")
    leaves_at_once(run)


def test_who_keeps_pressing_ctrl_c_gets_out_with_status_130_and_no_traceback(house: House) -> None:
    run = house.supervise(house.tree(home("a") + task("a", "deaf", rest='shutdown = "never"')), "-v")
    run.until_told("deaf")
    run.send(signal.SIGINT)
    run.until("is asked to stop")
    with open_pidfd(run.pid) as anima:
        while not ends(anima, 0.05):
            run.send(signal.SIGINT)
    assert run.end() == 130
    assert_no_wall(run.log)


# Processes

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")

FORKS = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("grandchild", os.getpid(), flush=True)
        while True: signal.pause()
    os._exit(0)
while True: signal.pause()
"""


def pid_of(house: House, path: str, incarnation: int) -> int:
    return next(
        int(event["value"])
        for event in house.events()
        if (event["event"], event["path"], event["incarnation"]) == ("child.started", path, incarnation)
    )


def grandchild_of(run: Run) -> int:
    run.until("grandchild ")
    found = re.search(r"grandchild (\d+)", run.log)
    assert found
    return int(found[1])


@linux
def test_a_process_that_is_killed_is_started_again_and_its_grandchildren_are_gone(house: House) -> None:
    run = house.supervise(house.tree(home("p") + process("p", FORKS)), "-v", "--events", "events.jsonl")
    run.until("home #1 started")
    with open_pidfd(grandchild_of(run)) as grandchild:
        os.kill(pid_of(house, "home/p", 1), signal.SIGKILL)
        run.until("home/p #2 started")
        assert "was killed by SIGKILL" in run.log
        assert ends(grandchild)
    with open_pidfd(pid_of(house, "home/p", 2)) as again:
        run.send(signal.SIGINT)
        assert run.end() == 0
        assert ends(again)
    assert ["restarts", "1"] in [line.split() for line in run.out.splitlines()]


@linux
def test_no_process_survives_when_anima_itself_is_killed(house: House) -> None:
    run = house.supervise(house.tree(home("p") + process("p", FORKS)), "-v", "--events", "events.jsonl")
    run.until("home #1 started")
    with open_pidfd(grandchild_of(run)) as grandchild, open_pidfd(pid_of(house, "home/p", 1)) as child:
        run.send(signal.SIGKILL)
        assert run.end() == -signal.SIGKILL
        assert ends(child)
        assert ends(grandchild)


def test_a_process_has_our_python_its_folder_and_its_environment(house: House) -> None:
    (house.folder / "site").mkdir()
    program = "import os, sys; print([sys.executable, os.getcwd(), os.environ['A']])"
    rest = 'cwd = "site"\nenv = {A = "b"}\nrestart = "transient"\nsignificant = true'
    tree = home("p", rest='auto_shutdown = "any_significant"') + process("p", program, rest)
    run = house.supervise(house.tree(tree), "-v")
    assert run.end() == 0
    assert f"stdout: {[sys.executable, str((house.folder / 'site').resolve()), 'b']}" in run.log


def test_a_process_that_fails_is_told_with_its_status_and_its_last_words(house: House) -> None:
    program = "import sys; print('disk full', file=sys.stderr); sys.exit(3)"
    failing = house.supervise(house.tree(home("p", rest="intensity = 0") + process("p", program)))
    missing = house.supervise(house.tree(home("p") + '[processes.p]\ncommand = ["no-such-program"]\n', "missing.toml"))
    assert (failing.end(), missing.end()) == (1, 1)
    assert "exited with status 3" in failing.log
    assert "disk full" in failing.log
    assert "cannot start 'no-such-program': no such command" in missing.log
    assert_no_wall(failing.log + missing.log)  # no line of Python is to blame


# Outputs that do not take anything

STORM = 2000


def storm(house: House) -> Path:
    """A task that crashes so often that its log fills any pipe, and tells when it is up for good."""
    args = f"times = {STORM}, folder = {json.dumps(str(house.folder))}"
    return house.tree(home("a", rest=f"intensity = {STORM * 2}") + task("a", "crash_often", args))


def test_a_full_pipe_delays_no_restart_and_no_end(house: House) -> None:
    run = house.supervise(storm(house), "-v")
    run.hold("stderr")
    run.until_told("survived")
    run.send(signal.SIGINT)
    assert run.end(6.0) == 0


def test_a_full_pipe_holds_nobody_who_interrupts_twice(house: House) -> None:
    run = house.supervise(storm(house), "-v")
    run.hold("stderr")
    run.until_told("survived")
    run.send(signal.SIGTERM)
    leaves_at_once(run)


def test_a_paused_terminal_delays_no_restart_and_no_end(house: House) -> None:
    ours, theirs = open_terminal()
    run = house.supervise(storm(house), stderr=theirs)
    try:
        run.until_told("survived")
        run.send(signal.SIGINT)
        assert run.end(6.0) == 0
    finally:
        os.close(ours)


def test_a_log_that_nobody_reads_any_more_changes_nothing(house: House) -> None:
    crash = task("a", "crash", rest='restart = "temporary"')
    file = house.tree(home("a", "b") + crash + task("b", "live"))
    runs = [house.supervise(file, "--for", "50ms", "--log-format", log_format) for log_format in ("text", "json")]
    for run in runs:
        run.let_go("stderr")
    for run in runs:
        assert run.end() == 0
        assert run.out.splitlines()[0].split() == ["starts", "3"]


def test_a_summary_that_nobody_reads_changes_nothing(house: House) -> None:
    run = house.supervise(house.tree(home("a") + task("a", "live")), "--for", "50ms")
    run.let_go("stdout")
    assert run.end() == 0
    assert_no_wall(run.log)
    assert "Broken" not in run.log


def test_streams_that_were_closed_from_the_start_change_nothing(house: House) -> None:
    house.tree(home("a") + task("a", "announce", 'name = "up"'))
    closings = ["2>&-", ">&-", ">&- 2>&-"]
    runs = [house.shell(f'exec "{ANIMA}" supervise tree.toml --for 50ms {closed}') for closed in closings]
    assert {closed: run.end() for closed, run in zip(closings, runs, strict=True)} == dict.fromkeys(closings, 0)
    for run in runs:
        assert run.text("told") == "up\n"
        assert_no_wall(run.log)


def test_a_full_disk_silences_neither_the_log_nor_the_summary(house: House) -> None:
    run = house.supervise(house.tree(home("a") + task("a", "live")), "--for", "50ms", "--events", "/dev/full")
    assert run.end() == 0
    assert "home/a #1 started" in run.log
    assert run.out.splitlines()[0].split() == ["starts", "2"]
    assert "No space left on device" in run.log, "events are lost, so it has to be told"
    assert_no_wall(run.log)


# A terminal


def open_terminal() -> tuple[int, int]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    return ours, theirs


@contextlib.contextmanager
def on_a_terminal(house: House, file: Path, *arguments: str) -> Iterator[Run]:
    """A run with its log on a terminal that we read."""
    ours, theirs = open_terminal()
    run = house.supervise(file, *arguments, stderr=theirs)
    run._fds["stderr"] = ours
    yield run


def test_on_a_terminal_a_live_view_shows_the_tree_and_the_log_scrolls_above(house: House) -> None:
    file = house.tree(
        home("a", "b", rest='intensity = 3\nperiod = "1m"')
        + task("a", "live")
        + task("b", "crash_first", f"folder = {json.dumps(str(house.folder))}")
    )
    with on_a_terminal(house, file) as run:
        run.until("1/3 in 60s", "last error", "restarts", "uptime")
        run._read(lambda: re.search(r"└─ b +up +2 +[\d.]+s +ValueError: boom", run.log) is not None, "row of b")
        assert re.search(r"├─ a +up +1 +[\d.]+s", run.log)
        assert "home/b #1 crashed" in run.log
        run.send(signal.SIGINT)
        assert run.end() == 0
        assert shown_cursor(run)
    assert "stop order     b a" in run.out


def test_the_live_view_shows_a_start_that_takes_its_time(house: House) -> None:
    with on_a_terminal(house, house.tree(home("a", "b") + task("a", "live") + task("b", "hang"))) as run:
        run.until_told("hangs")
        run._read(lambda: re.search(r"b +starting", run.log) is not None, "row of b", 3.0)


def test_the_live_view_shows_a_stop_that_takes_its_time(house: House) -> None:
    with on_a_terminal(house, house.tree(home("a") + task("a", "deaf", rest='shutdown = "never"'))) as run:
        run.until_told("deaf")
        run.until("home #1 started")
        run.send(signal.SIGINT)
        run._read(lambda: re.search(r"a +stopping", run.log) is not None, "row of a", 3.0)
        leaves_at_once(run)


def test_the_terminal_has_its_cursor_back_after_leaving_at_once(house: House) -> None:
    with on_a_terminal(house, house.tree(home("b") + task("b", "block"))) as run:
        run.until_told("blocks")
        run._read(lambda: b"\x1b[?25l" in run.raw("stderr"), "live view")
        run.send(signal.SIGTERM)
        run.until_told("interrupted")
        leaves_at_once(run)
        assert shown_cursor(run)


def shown_cursor(run: Run) -> bool:
    """Whether the last word about the cursor was to show it."""
    return run.raw("stderr").rfind(b"\x1b[?25h") > run.raw("stderr").rfind(b"\x1b[?25l")
