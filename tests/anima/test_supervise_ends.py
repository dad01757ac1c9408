"""`anima supervise tree.toml` on trees that end by themselves: the exit status, the log, the events, the summary."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime

import pytest

from tests.anima.houses import House, assert_no_wall, home, house, stop_order, task

__all__ = ["house"]


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
