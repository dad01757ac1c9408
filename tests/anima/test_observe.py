"""Events as records for programs, as lines for people, and added up at the end."""

from __future__ import annotations

import io
import json
import math
import os
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger
from rich.console import Console

from anima.actors import DeadLettered
from anima.agents import (
    AgentMemoryTrouble,
    AgentModelCalled,
    AgentModelTrouble,
    AgentToolCalled,
    AgentTurnBegan,
    AgentTurnEnded,
)
from anima.hub import SubscriberSlow
from anima.observe import JsonLines, Lines, Log, Summary, record, timestamp, trimmed
from anima.observe._drawing import table
from anima_supervisors import (
    SCHEMA,
    SCHEMA_VERSION,
    AutoShutdownTriggered,
    BackoffNeverGivesUp,
    ChildStartFailed,
    Error,
    Escalated,
    Event,
    EventsDropped,
    Exit,
    Exited,
    GaveUp,
    HeartbeatMissed,
    Killed,
    LoopBlocked,
    Normal,
    ProcessFailed,
    ProcessOutput,
    ProcessOutputOmitted,
    RestartScheduled,
    Shutdown,
    Snapshot,
    Started,
    StartFailed,
    StartIgnored,
    Starting,
    State,
    Stopping,
    Stuck,
)

Make = Callable[..., Event]

COMMON: dict[str, Any] = {"id": 1, "time": 0.0, "path": "home/a", "incarnation": 1}


def raised(error: Exception) -> Exception:
    """The error with a traceback, as one that was raised has."""
    try:
        raise error
    except Exception as caught:
        return caught


class Unprintable(Exception):
    """What a `__str__` with a mistake in it makes of an error."""

    def __str__(self) -> str:
        raise RuntimeError("no text for this")


class Odd:
    """What a `__repr__` with a mistake in it makes of a value."""

    def __repr__(self) -> str:
        raise RuntimeError("no text for this")


# Records

# Lone surrogates too: they are how Python writes the names of files that are not in UTF-8.
any_text = st.text(st.characters() | st.characters(categories=["Cs"]), max_size=20)
numbers = st.floats() | st.integers(-(2**63), 2**63)
errors = st.one_of(
    st.builds(ValueError, any_text),
    st.builds(lambda text: ExceptionGroup("several", [ValueError(text), OSError(5, text)]), any_text),
    st.just(SystemExit(3)),
)
infos = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    any_text,
    st.binary(),
    errors,
    st.lists(st.floats()),
    st.dictionaries(st.integers(), st.floats()),
)
exits: st.SearchStrategy[Exit] = st.one_of(
    st.just(Normal()),
    st.builds(Shutdown, infos, st.booleans()),
    st.builds(Error, errors),
    st.builds(Killed, st.none() | errors),
)
FIELDS: dict[type[Event], dict[str, st.SearchStrategy[Any]]] = {
    Starting: {},
    Started: {"value": infos},
    StartFailed: {"error": errors},
    StartIgnored: {},
    Exited: {"exit": exits, "stopped": st.booleans(), "uptime": st.floats()},
    Stopping: {"bound": st.floats()},
    Stuck: {"bound": st.floats()},
    RestartScheduled: {"delay": st.floats(), "restarts": numbers, "intensity": numbers, "period": st.floats()},
    HeartbeatMissed: {"silence": st.floats()},
    GaveUp: {"child": any_text, "intensity": numbers, "period": st.floats(), "error": st.none() | errors},
    Escalated: {"child": any_text, "error": errors},
    AutoShutdownTriggered: {"child": any_text},
    BackoffNeverGivesUp: {"intensity": numbers, "period": st.floats()},
    EventsDropped: {"count": numbers},
    LoopBlocked: {"task": any_text, "where": any_text, "seconds": st.floats()},
    ProcessOutput: {"stream": st.sampled_from(["stdout", "stderr"]), "line": any_text},
    ProcessOutputOmitted: {"stream": st.sampled_from(["stdout", "stderr"]), "lines": numbers},
    DeadLettered: {
        "reason": any_text,
        "message": any_text,
        "sender": st.none() | any_text,
        "attempts": numbers,
        "error": st.none() | any_text,
    },
    SubscriberSlow: {"pattern": any_text, "topic": any_text, "delivered": numbers, "dropped": numbers},
    AgentTurnBegan: {"turn": any_text, "resumed": st.booleans()},
    AgentModelCalled: {
        "turn": any_text,
        "step": numbers,
        "model": any_text,
        "seconds": st.floats(),
        "input_tokens": numbers,
        "output_tokens": numbers,
        "cost": st.none() | st.floats(),
        "error": st.none() | any_text,
    },
    AgentMemoryTrouble: {"what": any_text},
    AgentModelTrouble: {"model": any_text, "what": any_text},
    AgentToolCalled: {
        "turn": any_text,
        "step": numbers,
        "tool": any_text,
        "seconds": st.floats(),
        "failed": st.booleans(),
    },
    AgentTurnEnded: {
        "turn": any_text,
        "stop_reason": any_text,
        "steps": numbers,
        "seconds": st.floats(),
        "input_tokens": numbers,
        "output_tokens": numbers,
        "cost": st.none() | st.floats(),
        "error": st.none() | any_text,
    },
}
events: st.SearchStrategy[Event] = st.sampled_from(list(FIELDS)).flatmap(
    lambda kind: st.builds(
        kind,
        id=st.integers(0, 2**53),
        time=st.floats(0, 4e9),
        path=any_text,
        incarnation=st.integers(0, 2**53),
        **FIELDS[kind],
    )
)


def test_what_an_actor_has_told_itself_and_left_at_its_end_is_no_warning() -> None:
    facts = {**COMMON, "reason": "left_over", "message": "Tick", "attempts": 0, "error": None}
    assert Lines().line(DeadLettered(sender="home/a", **facts)).level == "DEBUG"
    assert Lines().line(DeadLettered(sender="home/b", **facts)).level == "WARNING"


def test_every_kind_of_event_is_among_the_examples() -> None:
    ours = {kind for kind in Event.__subclasses__() if kind.__module__.startswith(("anima_supervisors.", "anima."))}
    assert set(FIELDS) == ours


@given(event=events)
def test_the_record_of_any_event_is_json_without_nan_or_infinity(event: Event) -> None:
    data = record(event)
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert list(data)[:4] == ["time", "event", "path", "incarnation"]
    assert data["schema"] == f"{SCHEMA}/{SCHEMA_VERSION}"
    assert set(data) >= set(event.fields())


@given(event=events)
def test_any_event_makes_a_line_for_people(event: Event) -> None:
    line = Lines().line(event)
    assert line.level in ("DEBUG", "INFO", "WARNING", "ERROR")
    assert line.text
    assert event.name not in line.text, "a kind without a sentence of its own"


@pytest.mark.parametrize("event", [Started(**COMMON, value=Odd()), StartFailed(**COMMON, error=Unprintable())])
def test_a_value_that_cannot_be_printed_is_told_of_all_the_same(event: Event) -> None:
    assert json.loads(json.dumps(record(event)))["event"] == event.name
    assert Lines().line(event).text.startswith("home/a #1 ")


@given(event=events)
def test_any_event_is_written_as_one_line_at_once(tmp_path_factory: pytest.TempPathFactory, event: Event) -> None:
    file = tmp_path_factory.getbasetemp() / "events.jsonl"
    file.unlink(missing_ok=True)
    write = JsonLines(file)
    try:
        write(event)
        # Read while it is open: who follows the file sees each event when it happens.
        line, end = file.read_bytes().split(b"\n")
        assert json.loads(line)["event"] == event.name
        assert end == b""
    finally:
        write.close()


def test_events_are_appended_to_those_of_the_run_before(tmp_path: Path) -> None:
    for _ in range(2):
        write = JsonLines(tmp_path / "events.jsonl")
        write(Started(**COMMON))
        write.close()
    assert len((tmp_path / "events.jsonl").read_text().splitlines()) == 2


def test_a_file_that_cannot_be_opened_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Is a directory"):
        JsonLines(tmp_path)


def test_a_time_is_written_in_rfc_3339_and_utc() -> None:
    assert timestamp(0) == "1970-01-01T00:00:00.000000Z"
    assert timestamp(1_000_000_000.25) == "2001-09-09T01:46:40.250000Z"


@given(seconds=st.floats(0, 4e9))
def test_a_time_comes_back_to_the_microsecond_and_always_has_one_length(seconds: float) -> None:
    text = timestamp(seconds)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert datetime.fromisoformat(text).timestamp() == pytest.approx(seconds, abs=2e-6)


@pytest.mark.parametrize(
    ("exit", "told"),
    [
        (Normal(), {"reason": "normal"}),
        (Shutdown("done", final=True), {"reason": "shutdown", "info": "done", "final": True}),
        (Error(ValueError("boom")), {"reason": "error", "error": "ValueError: boom"}),
        (Killed(), {"reason": "killed", "error": None}),
        (Killed(ValueError("late")), {"reason": "killed", "error": "ValueError: late"}),
    ],
)
def test_a_record_says_why_a_child_ended(exit: Exit, told: dict[str, object]) -> None:
    assert record(Exited(**COMMON, exit=exit, stopped=False, uptime=2.5))["exit"] == told


def test_no_bound_is_null_in_a_record() -> None:
    assert record(Stopping(**COMMON, bound=math.inf))["bound"] is None


# Lines


def crash(lines: Lines, error: BaseException, path: str = "home/a") -> tuple[str, str | None]:
    line = lines.line(Exited(**{**COMMON, "path": path}, exit=Error(error), stopped=False, uptime=1.0))
    assert line.level == "ERROR"
    return line.text, line.detail


def stumble(message: str) -> Exception:
    return raised(ValueError(message))


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


async def fail_in_a_nursery() -> None:
    async with trio.open_nursery() as nursery:
        for message in ("left", "right"):
            nursery.start_soon(trio.to_thread.run_sync, stumble_out_loud, message)


def stumble_out_loud(message: str) -> None:
    raise ValueError(message)


async def test_a_traceback_has_the_users_frames_only() -> None:
    try:
        await trio.to_thread.run_sync(stumble_out_loud, "boom")
    except ValueError as error:
        text = trimmed(error)
    files = re.findall(r'File "(.*)", line', text)
    assert len(files) == 2
    assert set(files) == {__file__}
    assert text.endswith("ValueError: boom")


async def test_of_a_group_each_error_is_shown_flat() -> None:
    try:
        await fail_in_a_nursery()
    except ExceptionGroup as group:
        text = trimmed(ExceptionGroup("outer", [group]))
    assert text.count("Traceback (most recent call last):") == 2
    assert "ValueError: left" in text
    assert "ValueError: right" in text
    assert "Group" not in text
    assert "  |" not in text


async def test_a_group_behind_an_error_is_shown_flat_too() -> None:
    try:
        try:
            await fail_in_a_nursery()
        except ExceptionGroup as group:
            raise RuntimeError("both sides failed") from group
    except RuntimeError as error:
        text = trimmed(error)
    assert text.endswith("RuntimeError: both sides failed")
    assert "ValueError: left" in text
    assert "  |" not in text
    assert {os.path.basename(file) for file in re.findall(r'File "(.*)", line', text)} == {os.path.basename(__file__)}


def test_the_cause_of_an_error_is_shown_with_it() -> None:
    try:
        try:
            stumble_out_loud("first")
        except ValueError as first:
            raise KeyError("second") from first
    except KeyError as error:
        text = trimmed(error)
    assert text.index("ValueError: first") < text.index("direct cause") < text.index("KeyError: 'second'")


def test_trimming_leaves_the_error_as_it_is() -> None:
    error = stumble("x")
    before = error.__traceback__
    trimmed(error)
    assert error.__traceback__ is before


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


# The log


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    yield io.StringIO()
    logger.remove()


def test_the_log_has_a_line_for_each_event_and_those_for_debugging_on_request_only(stream: io.StringIO) -> None:
    log = Log(stream, level="INFO", json_format=False)
    log(Started(**COMMON))
    log(Stopping(**COMMON, bound=5.0))
    assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} INFO +home/a #1 started\n", stream.getvalue())
    Log(stream, level="DEBUG", json_format=False)(Stopping(**COMMON, bound=5.0))
    assert stream.getvalue().endswith("DEBUG   home/a #1 is asked to stop, within 5 s\n")


def test_the_log_passes_on_text_that_looks_like_its_own_markup(stream: io.StringIO) -> None:
    line = "<red>{time}</red> {0} [bold]x[/bold] %s"
    Log(stream, level="DEBUG", json_format=False)(ProcessOutput(**COMMON, stream="stdout", line=line))
    assert line in stream.getvalue()


def test_the_log_in_json_has_the_records_with_their_level(stream: io.StringIO) -> None:
    log = Log(stream, level="INFO", json_format=True)
    event = Started(**COMMON, value=math.nan)
    log(event)
    log(Stopping(**COMMON, bound=5.0))
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line) == {"level": "INFO", **record(event)}


def test_the_log_in_json_has_the_traceback_of_a_crash(stream: io.StringIO) -> None:
    log = Log(stream, level="INFO", json_format=True)
    log(Exited(**COMMON, exit=Error(stumble("boom")), stopped=False, uptime=1.0))
    assert "in raised" in stream.getvalue()


# The summary


def summary(*found: Event) -> list[str]:
    total = Summary("home")
    for event in found:
        total.add(event)
    return total.lines()


def at(time: float, kind: Make, path: str, incarnation: int = 1, **fields: object) -> Event:
    return kind(id=0, time=time, path=path, incarnation=incarnation, **fields)


def ended(time: float, path: str, *, stopped: bool) -> Event:
    exit = Shutdown() if stopped else Error(ValueError("boom"))
    return at(time, Exited, path, exit=exit, stopped=stopped, uptime=1.0)


def test_a_summary_counts_starts_and_restarts() -> None:
    lines = summary(
        at(0, Started, "home/a"),
        at(0, Started, "home"),
        ended(1, "home/a", stopped=False),
        at(1, StartFailed, "home/a", 2, error=ValueError("not yet")),
        at(2, Started, "home/a", 3),
    )
    assert [line.split() for line in lines[:3]] == [["starts", "3"], ["restarts", "1"], ["failed", "starts", "1"]]


def test_a_summary_has_the_longest_outage_and_whose_it_was() -> None:
    lines = summary(
        at(0, Started, "home/a"),
        at(0, Started, "home/b"),
        ended(1.0, "home/a", stopped=False),
        at(1.25, Started, "home/a", 2),
        ended(2.0, "home/b", stopped=False),
        at(2.125, Started, "home/b", 2),
    )
    assert "longest outage 250 ms (home/a)" in lines


def test_a_summary_without_a_crash_has_no_outage() -> None:
    assert not any("outage" in line for line in summary(at(0, Started, "home/a"), ended(1, "home/a", stopped=True)))


def test_a_summary_ends_with_the_order_of_the_last_stop() -> None:
    lines = summary(
        at(0, Started, "home/a"),
        at(0, Started, "home/in/b"),
        at(0, Started, "home/in"),
        ended(1, "home/in/b", stopped=True),  # a group restart, not the end
        at(1, Started, "home/in/b", 2),
        ended(2, "home/in/b", stopped=True),
        ended(2, "home/in", stopped=True),
        ended(2, "home/a", stopped=True),
        ended(2, "home", stopped=True),
    )
    assert lines[-1].split() == ["stop", "order", "in/b", "in", "a"]


def test_who_ended_by_itself_long_before_is_not_part_of_the_stop() -> None:
    lines = summary(
        at(0, Started, "home/once"),
        at(0, Started, "home/a"),
        at(1, Exited, "home/once", exit=Normal(), stopped=False, uptime=1.0),
        ended(60, "home/a", stopped=True),
    )
    assert lines[-1].split() == ["stop", "order", "a"]


# The drawing


def node(path: str, *children: Snapshot, **fields: Any) -> Snapshot:
    usual = {"kind": "task", "state": State.UP, "incarnation": 1, "uptime": 1.0, "last_error": None}
    return Snapshot(path=path, children=children, **{**usual, **fields})


def drawn(snapshot: Snapshot) -> str:
    console = Console(file=io.StringIO(), width=120, height=100)
    with console.capture() as capture:
        console.print(table(snapshot))
    return capture.get()


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_drawn(state: State) -> None:
    assert state.value in drawn(node("home/a", state=state))


def test_a_drawing_has_incarnation_restarts_uptime_and_last_error() -> None:
    crashed = node("home/a", incarnation=7, uptime=None, last_error="ValueError: [red]boom[/red]")
    text = drawn(node("home", crashed, kind="supervisor", restarts=2, intensity=3, period=5.0, uptime=3725.0))
    home, a = text.splitlines()[1:]
    assert re.split(r"\s{2,}", home.strip()) == ["home", "up", "1", "2/3 in 5s", "1h02m"]
    assert re.split(r"\s{2,}", a.strip()) == ["└─ a", "up", "7", "ValueError: [red]boom[/red]"]


def test_a_drawing_of_many_children_says_how_many_are_not_in_it() -> None:
    text = drawn(node("home", *(node(f"home/{number}") for number in range(100))))
    left_out = 100 - sum(f"─ {number} " in text for number in range(100))
    assert left_out
    assert f"{left_out} more" in text
