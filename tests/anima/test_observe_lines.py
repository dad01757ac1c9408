"""Events as lines for people: what happened to whom, how bad that is, and a traceback where it is news."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from anima.actors import DeadLettered
from anima.observe import Lines
from anima_supervisors import (
    ChildStartFailed,
    Error,
    Event,
    EventsDropped,
    Exited,
    GaveUp,
    Killed,
    ProcessFailed,
    ProcessOutput,
    RestartScheduled,
    Shutdown,
    Started,
    StartFailed,
    StartIgnored,
    Stopping,
    Stuck,
)
from tests.anima.event_examples import COMMON, events, raised, stumble


def test_what_an_actor_has_told_itself_and_left_at_its_end_is_no_warning() -> None:
    facts = {**COMMON, "reason": "left_over", "message": "Tick", "attempts": 0, "error": None}
    assert Lines().line(DeadLettered(sender="home/a", **facts)).level == "DEBUG"
    assert Lines().line(DeadLettered(sender="home/b", **facts)).level == "WARNING"


@given(event=events)
def test_any_event_makes_a_line_for_people(event: Event) -> None:
    line = Lines().line(event)
    assert line.level in ("DEBUG", "INFO", "WARNING", "ERROR")
    assert line.text
    assert event.name not in line.text, "a kind without a sentence of its own"


def crash(lines: Lines, error: BaseException, path: str = "home/a") -> tuple[str, str | None]:
    line = lines.line(Exited(**{**COMMON, "path": path}, exit=Error(error), stopped=False, uptime=1.0))
    assert line.level == "ERROR"
    return line.text, line.detail


def test_a_traceback_is_shown_once_and_then_counted() -> None:
    lines = Lines()
    first, detail = crash(lines, stumble("one"))
    assert first == "home/a #1 crashed after 1.0 s: ValueError: one"
    assert detail is not None
    assert "in raised" in detail
    again, no_detail = crash(lines, stumble("two"))
    assert no_detail is None, "messages differ, places do not"
    assert again.startswith("home/a #1 crashed after 1.0 s: ValueError: two")
    assert "2 times" in again


def test_messages_of_several_lines_do_not_make_a_new_place() -> None:
    lines = Lines()
    assert crash(lines, stumble("page 1\n  at offset 11"))[1] is not None
    assert crash(lines, stumble("page 2\n  at offset 22"))[1] is None


def test_another_place_or_another_error_has_a_traceback_of_its_own() -> None:
    lines = Lines()
    assert crash(lines, raised(ValueError("x")))[1] is not None
    assert crash(lines, raised(KeyError("x")))[1] is not None
    try:
        raise ValueError("x")  # not where `raised` does
    except ValueError as error:
        assert crash(lines, error)[1] is not None


def test_failures_without_a_place_are_not_taken_for_the_same() -> None:
    lines = Lines()
    crash(lines, ProcessFailed("web exited with status 3", 3), "home/web")
    text, _ = crash(lines, ProcessFailed("db exited with status 4", 4), "home/db")
    assert text == "home/db #1 crashed after 1.0 s: ProcessFailed: db exited with status 4"


def test_a_failed_process_is_shown_with_its_last_lines_and_no_empty_traceback() -> None:
    text, detail = crash(Lines(), raised(ProcessFailed("web exited with status 3", 3, ["disk full", "giving up"])))
    assert "ProcessFailed: web exited with status 3" in text
    assert detail is not None
    assert "disk full" in detail
    assert "giving up" in detail


def test_where_no_frame_of_the_user_is_left_there_is_no_traceback() -> None:
    _, detail = crash(Lines(), ProcessFailed("web exited with status 3", 3, ["disk full"]))
    assert detail is not None
    assert "Traceback" not in detail
    assert crash(Lines(), ProcessFailed("web exited with status 3", 3))[1] is None  # the line says it all


def test_a_traceback_shown_for_the_child_is_not_shown_again_for_the_supervisors_above() -> None:
    lines = Lines()
    error = stumble("no start")
    inner = ChildStartFailed("home/in/a", error)
    outer = ChildStartFailed("home/in", inner)
    shown = [
        lines.line(StartFailed(**{**COMMON, "path": path}, error=error)).detail
        for path, error in [("home/in/a", error), ("home/in", inner), ("home", outer)]
    ]
    assert sum("in raised" in detail for detail in shown if detail) == 1


@pytest.mark.parametrize(
    ("event", "level", "text"),
    [
        (Started(**COMMON), "INFO", "home/a #1 started"),
        (StartIgnored(**COMMON), "INFO", "home/a #1 is left out: it raised Ignore"),
        (Stopping(**COMMON, bound=5.0), "DEBUG", "home/a #1 is asked to stop, within 5 s"),
        (Stopping(**COMMON, bound=math.inf), "DEBUG", "home/a #1 is asked to stop"),
        (Stuck(**COMMON, bound=5.0), "ERROR", "home/a #1 is stuck: still alive 1 s after its bound of 5 s"),
        (
            RestartScheduled(**COMMON, delay=0.25, restarts=2, intensity=3, period=5.0),
            "INFO",
            "home/a #1 restarts in 0.25 s (restart 2/3 in 5 s)",
        ),
        (
            GaveUp(**{**COMMON, "path": "home"}, child="home/a", intensity=3, period=5.0, error=None),
            "ERROR",
            "home #1 gives up: home/a needs a restart beyond the 3 allowed in 5 s",
        ),
        (
            Exited(**COMMON, exit=Killed(), stopped=True, uptime=1.0),
            "WARNING",
            "home/a #1 did not stop in time and was killed after 1.0 s",
        ),
        (
            Exited(**COMMON, exit=Shutdown("done"), stopped=False, uptime=1.0),
            "INFO",
            "home/a #1 ended after 1.0 s: 'done'",
        ),
        (Exited(**COMMON, exit=Shutdown(), stopped=True, uptime=1.0), "INFO", "home/a #1 stopped after 1.0 s"),
        (EventsDropped(**COMMON, count=7), "WARNING", "7 events were dropped: the output is too slow"),
        (ProcessOutput(**COMMON, stream="stderr", line="hello"), "DEBUG", "home/a #1 stderr: hello"),
    ],
)
def test_a_line_says_what_happened_to_whom_and_how_bad_that_is(event: Event, level: str, text: str) -> None:
    line = Lines().line(event)
    assert (line.level, line.text, line.detail) == (level, text, None)
