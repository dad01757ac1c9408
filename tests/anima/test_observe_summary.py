"""Events added up at the end: starts, restarts, the longest outage, the order of the stop."""

from __future__ import annotations

from collections.abc import Callable

from anima.observe import Summary
from anima_supervisors import Error, Event, Exited, Normal, Shutdown, Started, StartFailed

Make = Callable[..., Event]


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
