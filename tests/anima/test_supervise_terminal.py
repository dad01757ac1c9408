"""The live view of `anima supervise` on a terminal."""

from __future__ import annotations

import contextlib
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path

from tests.anima.houses import House, Run, home, house, leaves_at_once, open_terminal, task

__all__ = ["house"]


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
