"""The small tools."""

from __future__ import annotations

import datetime

import pytest

from .conftest import Call


async def test_the_clock_tells_date_time_and_day(call: Call) -> None:
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    text, _, day = (await call("clock")).content.partition(" ")
    time = datetime.datetime.fromisoformat(text)
    assert before <= time <= datetime.datetime.now(datetime.UTC)
    assert day == f"{time:%A}"


async def test_the_clock_knows_time_zones(call: Call) -> None:
    text, _, _ = (await call("clock", timezone="Asia/Tokyo")).content.partition(" ")
    assert text.endswith("+09:00")
    for wrong in ("Europe/Berlni", "../etc/passwd", "Mars/North", ""):
        result = await call("clock", timezone=wrong)
        assert result.failed
        assert f"there is no {wrong!r}" in result.content
    assert "did you mean 'Europe/Berlin'?" in (await call("clock", timezone="Europe/Berlni")).content


SUMS = [(2, 3, "5"), (2.5, 0.25, "2.75"), (0.5, 0.5, "1"), (1e300, 1e300, "2e+300"), (1e308, 1e308, "inf")]


@pytest.mark.parametrize(("a", "b", "total"), SUMS)
async def test_numbers_are_added(a: float, b: float, total: str, call: Call) -> None:
    assert (await call("add", a=a, b=b)).content == total


async def test_an_echo_gives_the_text_back(call: Call) -> None:
    assert (await call("echo", text="Grüße\n漢 😀")).content == "Grüße\n漢 😀"
