"""Durations in configuration files."""

from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anima.config import BadValue, Duration, parse_duration

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


@given(number=st.integers(0, 10**9), unit=st.sampled_from(sorted(UNITS)))
def test_a_whole_number_with_a_unit_is_so_many_seconds(number: int, unit: str) -> None:
    assert parse_duration(f"{number}{unit}") == pytest.approx(number * UNITS[unit])


@given(whole=st.integers(0, 10**6), part=st.integers(0, 999), unit=st.sampled_from(sorted(UNITS)))
def test_a_decimal_fraction_with_a_unit_is_so_many_seconds(whole: int, part: int, unit: str) -> None:
    assert parse_duration(f"{whole}.{part:03}{unit}") == pytest.approx((whole + part / 1000) * UNITS[unit])


@given(seconds=st.floats(0.001, 10**6))
def test_seconds_written_as_milliseconds_come_back_as_they_were(seconds: float) -> None:
    assert parse_duration(f"{seconds * 1000:.6f}ms") == pytest.approx(seconds, rel=1e-6)


@given(text=st.one_of(st.text(), st.from_regex(r"[-+]?\d*\.?\d*\s*(ms|s|m|h|d)?", fullmatch=True)))
@example("9" * 400 + "s")  # the float of so many digits is infinite
def test_any_text_is_a_finite_duration_or_a_bad_value(text: str) -> None:
    try:
        duration = parse_duration(text)
    except BadValue as error:
        assert "must be a duration" in str(error)
        assert repr(text) in str(error)
    else:
        assert isinstance(duration, Duration)
        assert 0 <= duration < math.inf


@pytest.mark.parametrize("text", ["", "s", "5", "-5s", "5 s", "5s ", "5S", "1w", "1h30m", "0x5s", "1e3s", ".5s", "5.s"])
def test_what_is_no_number_with_a_known_unit_is_refused(text: str) -> None:
    with pytest.raises(BadValue, match="must be a duration"):
        parse_duration(text)


@pytest.mark.parametrize(("number", "mend"), [(5, '"5s"'), (0.25, '"0.25s"')])
def test_a_bare_number_is_refused_with_the_text_to_write_instead(number: float, mend: str) -> None:
    with pytest.raises(BadValue) as caught:
        parse_duration(number)
    assert caught.value.hint == f"write {mend}"


@pytest.mark.parametrize("value", [True, None, [], {}, b"5s"])
def test_what_is_neither_text_nor_number_is_refused_without_a_mend(value: object) -> None:
    with pytest.raises(BadValue) as caught:
        parse_duration(value)
    assert caught.value.hint is None
