"""Signals to `anima supervise`: the first one stops in order, the second one leaves at once, whatever holds it up."""

from __future__ import annotations

import signal

from tests.anima.houses import (
    JOBS,
    House,
    assert_no_wall,
    ends,
    home,
    house,
    leaves_at_once,
    open_pidfd,
    pid_of,
    process,
    stop_order,
    task,
)

__all__ = ["house"]

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
