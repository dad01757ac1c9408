"""The log: a line for each event, as text or as JSON."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterator

import pytest
from loguru import logger

from anima.observe import Log, record
from anima_supervisors import Error, Exited, ProcessOutput, Started, Stopping
from tests.anima.event_examples import COMMON, stumble


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
