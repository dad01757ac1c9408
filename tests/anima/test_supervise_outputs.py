"""`anima supervise` with outputs that do not take anything: full, paused, closed, or without a reader."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from tests.anima.houses import ANIMA, House, assert_no_wall, home, house, leaves_at_once, open_terminal, task

__all__ = ["house"]

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
