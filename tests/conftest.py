"""What holds for every test: it ends in time, its failures repeat, and nothing outlives it.

Threads, processes and sockets are counted here; tasks cannot outlive the `trio.run` of their test.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import hypothesis
import pytest
import trio

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "default")

#: A test that deadlocks on a mock clock waits, or spins, for ever: after so many real seconds it fails instead.
LONGEST_TEST = 45 if PROFILE == "default" else 3600

hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("torture", deadline=None, print_blob=True, max_examples=5000)
hypothesis.settings.load_profile(PROFILE)


@pytest.fixture(autouse=True)
def _ends_in_time(request: pytest.FixtureRequest) -> Iterator[None]:
    def give_up(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"{request.node.nodeid} still runs after {LONGEST_TEST} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, LONGEST_TEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _repeats(request: pytest.FixtureRequest) -> None:
    """Trio shuffles the tasks that can run; each test has its own order, and always the same."""
    seed = zlib.crc32(request.node.nodeid.encode())
    trio._core._run._r.seed(seed)  # Trio has no public way


@pytest.fixture(autouse=True)
def _nothing_outlives_a_test() -> Iterator[None]:
    threads, processes, sockets = _threads(), _processes(), _sockets()
    yield
    assert _threads() - threads == set(), "threads are left"
    assert _processes() - processes == set(), "processes are left"
    assert _sockets() - sockets == set(), "sockets are left"


def _threads() -> set[str]:
    # Trio keeps its worker threads for a while; Hypothesis and pytest have none.
    return {thread.name for thread in threading.enumerate() if not thread.name.startswith("Trio thread")}


def _processes() -> set[int]:
    """Our children, by pid; none where there is no /proc."""
    if sys.platform != "linux":
        return set()
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    tasks = Path("/proc/self/task")
    if not children.exists():
        return {pid for pid in _all_pids() if _parent(pid) == os.getpid()}
    return {pid for task in tasks.iterdir() for pid in _children_of(task)}


def _children_of(task: Path) -> set[int]:
    try:
        return {int(pid) for pid in (task / "children").read_text().split()}
    except FileNotFoundError:  # a thread that has ended since
        return set()


def _all_pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def _sockets() -> set[str]:
    if sys.platform != "linux":
        return set()
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
        except OSError:
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
