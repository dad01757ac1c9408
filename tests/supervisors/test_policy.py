"""The pure policy against simple models: the window, who restarts, the backoff."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima_supervisors import Backoff, BadSpec, Error, Killed, Normal, OnError, Restart, Shutdown, Strategy
from anima_supervisors._policy import Decision, RestartWindow, decide, group_of

EXITS = [Normal(), Shutdown(), Shutdown("info"), Error(ValueError()), Killed()]


@given(
    st.integers(0, 4),
    st.floats(0.5, 10),
    st.lists(st.floats(0, 3, allow_subnormal=False), max_size=30),
)
def test_a_window_gives_up_exactly_when_more_than_intensity_restarts_lie_within_the_period(
    intensity: int, period: float, gaps: list[float]
) -> None:
    window = RestartWindow(intensity, period)
    now, times = 100.0, list[float]()
    for gap in gaps:
        now += gap
        times.append(now)
        within = [time for time in times if now - time <= period]
        assert window.add(now) == (len(within) <= intensity)
        assert window.count(now) == len(within)


def test_a_restart_exactly_one_period_old_still_counts() -> None:
    window = RestartWindow(1, 5.0)
    assert window.add(10.0)
    assert not window.add(15.0)


def test_a_restart_older_than_the_period_no_longer_counts() -> None:
    window = RestartWindow(1, 5.0)
    assert window.add(10.0)
    assert window.add(15.000001)


@pytest.mark.parametrize("exit", EXITS, ids=str)
def test_table_b_of_the_rules(exit: Normal | Shutdown | Error | Killed) -> None:
    clean = isinstance(exit, Normal | Shutdown)
    assert decide(Restart.PERMANENT, {}, exit) is Decision.RESTART
    assert decide(Restart.TRANSIENT, {}, exit) is (Decision.LEAVE if clean else Decision.RESTART)
    assert decide(Restart.TEMPORARY, {}, exit) is Decision.LEAVE


@pytest.mark.parametrize("restart", Restart)
def test_a_final_exit_is_never_restarted(restart: Restart) -> None:
    assert decide(restart, {}, Shutdown(final=True)) is Decision.LEAVE


def test_the_most_specific_class_decides_over_one_exception() -> None:
    rules: dict[type[Exception], OnError] = {Exception: OnError.STOP, ConnectionError: OnError.RESTART}
    assert decide(Restart.TRANSIENT, rules, Error(ConnectionResetError())) is Decision.RESTART
    assert decide(Restart.PERMANENT, rules, Error(ValueError())) is Decision.LEAVE


_KINDS: dict[type[Exception], OnError] = {
    KeyError: OnError.RESTART,
    ValueError: OnError.STOP,
    OSError: OnError.ESCALATE,
}


@given(st.recursive(st.sampled_from([*_KINDS]).map(lambda kind: kind()), lambda inner: st.lists(inner, min_size=1)))
def test_in_a_group_escalate_beats_stop_beats_restart_however_deep(errors: object) -> None:
    def build(node: object) -> Exception:
        return ExceptionGroup("", [build(inner) for inner in node]) if isinstance(node, list) else node  # type: ignore[return-value]

    def kinds(node: object) -> set[type]:
        return set().union(*(kinds(inner) for inner in node)) if isinstance(node, list) else {type(node)}

    there = kinds(errors)
    expected = Decision.ESCALATE if OSError in there else Decision.LEAVE if ValueError in there else Decision.RESTART
    assert decide(Restart.PERMANENT, _KINDS, Error(build(errors))) is expected


def test_an_error_that_is_listed_nowhere_asks_for_what_restart_says() -> None:
    assert decide(Restart.PERMANENT, _KINDS, Error(RuntimeError())) is Decision.RESTART
    assert decide(Restart.TEMPORARY, {ValueError: OnError.ESCALATE}, Error(RuntimeError())) is Decision.LEAVE


@given(st.lists(st.integers(), min_size=1, unique=True), st.data())
def test_the_group_keeps_the_order_and_depends_on_the_strategy_alone(ids: list[int], data: st.DataObject) -> None:
    culprit = data.draw(st.sampled_from(ids))
    assert list(group_of(Strategy.ONE_FOR_ONE, ids, culprit)) == [culprit]
    assert list(group_of(Strategy.ONE_FOR_ALL, ids, culprit)) == ids
    rest = list(group_of(Strategy.REST_FOR_ONE, ids, culprit))
    assert rest[0] == culprit
    assert ids[-len(rest) :] == rest


@given(
    st.builds(
        Backoff,
        initial=st.floats(0.001, 5),
        maximum=st.floats(5, 100),
        factor=st.floats(1, 10),
        jitter=st.floats(0, 1),
    ),
    st.integers(0, 10_000),
    st.integers(0, 2**32),
)
def test_a_backoff_never_waits_longer_than_its_maximum_nor_less_than_jitter_allows(
    backoff: Backoff, failures: int, seed: int
) -> None:
    delay = backoff.delay(failures, Random(seed))
    assert 0 <= delay <= backoff.maximum
    assert delay >= backoff.ceiling(failures) * (1 - backoff.jitter) * (1 - 1e-9)
    assert backoff.ceiling(failures) <= backoff.ceiling(failures + 1)


def test_a_backoff_without_jitter_doubles_up_to_the_maximum() -> None:
    backoff = Backoff(0.5, 3.0, 2.0, 0.0)
    assert [backoff.delay(n, Random(0)) for n in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_backoff_whose_waits_exceed_the_period_can_never_reach_the_limit() -> None:
    assert not Backoff(2.0, 10.0, jitter=0.0).reaches(3, 5.0)
    assert Backoff(0.1, 10.0, jitter=0.0).reaches(3, 5.0)
    assert Backoff(60.0, 60.0).reaches(0, 5.0)  # the first restart is one too many


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"initial": 0}, "initial"),
        ({"initial": 2, "maximum": 1}, "maximum"),
        ({"factor": 0.5}, "factor"),
        ({"jitter": 2}, "jitter"),
        ({"reset_after": -1}, "reset_after"),
    ],
)
def test_a_backoff_refuses_impossible_values_by_name(values: dict[str, float], named: str) -> None:
    with pytest.raises(BadSpec, match=named):
        Backoff(**values)
