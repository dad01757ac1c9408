"""Events as records for programs: JSON without surprises, one line each, with the time in UTC."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.observe import JsonLines, Lines, record, timestamp
from anima_supervisors import (
    SCHEMA,
    SCHEMA_VERSION,
    Error,
    Event,
    Exit,
    Exited,
    Killed,
    Normal,
    Shutdown,
    Started,
    StartFailed,
    Stopping,
)
from tests.anima.event_examples import COMMON, FIELDS, events


class Unprintable(Exception):
    """What a `__str__` with a mistake in it makes of an error."""

    def __str__(self) -> str:
        raise RuntimeError("no text for this")


class Odd:
    """What a `__repr__` with a mistake in it makes of a value."""

    def __repr__(self) -> str:
        raise RuntimeError("no text for this")


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
