"""Processes of a tree: how they are started, what is told of their failures, and that none is left behind."""

from __future__ import annotations

import os
import re
import signal
import sys

import pytest

from tests.anima.houses import House, Run, assert_no_wall, ends, home, house, open_pidfd, pid_of, process

__all__ = ["house"]

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
