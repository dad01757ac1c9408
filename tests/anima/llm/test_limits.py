"""The breaker and the places of a server: pure rules first, then what goes through them."""

from __future__ import annotations

import contextlib

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.llm import (
    BadRequest,
    CircuitClosed,
    CircuitOpen,
    CircuitOpened,
    Incident,
    ModelError,
    ModelTimeout,
    NetworkFailed,
    RateLimited,
    ServerFailed,
)
from anima.llm._limits import Breaker, Gate, LimitedModel
from anima.testing import Answer, Fail, Say, ScriptedModel, Wait
from tests.anima.llm.flaky import Counted, answer_of, asked, events_of


def failing(breaker: Breaker, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        breaker.failed(breaker.begin(), now)


def test_a_breaker_opens_after_failures_in_a_row() -> None:
    breaker = Breaker(3, 30)
    failing(breaker, 2)
    breaker.succeeded()
    failing(breaker, 2)
    assert breaker.wait(0) == 0
    failing(breaker, 1)
    assert breaker.wait(0) == 30
    assert breaker.wait(29) == 1


def test_a_half_open_breaker_lets_one_through() -> None:
    breaker = Breaker(1, 30)
    failing(breaker, 1)
    assert breaker.wait(30) == 0
    breaker.begin()
    assert breaker.wait(30) > 0


def test_a_probe_that_fails_opens_it_again() -> None:
    breaker = Breaker(3, 30)
    failing(breaker, 3)
    failing(breaker, 1, now=30)
    assert breaker.wait(31) == 29


def test_a_probe_that_nobody_waits_for_makes_way_for_the_next() -> None:
    breaker = Breaker(1, 30)
    failing(breaker, 1)
    breaker.abandoned(breaker.begin())
    assert breaker.wait(30) == 0


def test_a_sign_of_life_closes_it_but_one_more_failure_opens_it_again() -> None:
    breaker = Breaker(3, 30)
    failing(breaker, 3)
    probe = breaker.begin()
    assert breaker.alive()
    assert breaker.wait(30) == 0
    assert breaker.failed(probe, 31)
    assert breaker.wait(31) == 30


def test_what_was_sent_before_it_opened_changes_nothing_when_it_fails() -> None:
    breaker = Breaker(2, 30)
    old = breaker.begin()
    failing(breaker, 2)
    assert not breaker.failed(old, 29)
    assert breaker.wait(29) == 1
    breaker.abandoned(old)
    breaker.begin()
    breaker.abandoned(old)
    assert breaker.wait(30) > 0, "the probe is still on its way"


@given(st.lists(st.tuples(st.sampled_from(["ok", "fail", "abandon", "alive"]), st.integers(0, 40)), max_size=40))
def test_a_breaker_never_shuts_for_good_and_lets_one_probe_through_at_a_time(steps: list[tuple[str, int]]) -> None:
    breaker, now = Breaker(2, 30), 0.0
    for what, later in steps:
        now += later
        wait = breaker.wait(now)
        assert 0 <= wait <= 30
        if wait:
            continue
        request = breaker.begin()
        if breaker.is_open:
            assert breaker.wait(now) > 0
        match what:
            case "ok":
                breaker.succeeded()
                assert not breaker.is_open
            case "alive":
                breaker.alive()
            case "fail":
                breaker.failed(request, now)
        breaker.abandoned(request)
    assert breaker.wait(now + 30) == 0


async def test_a_server_that_fails_is_left_alone_then_tried_once(autojump_clock: MockClock) -> None:
    log: list[Incident] = []
    answers: list[Answer] = [*[Fail(ServerFailed)] * 2, *[Fail(NetworkFailed)] * 3, [Wait(2), Say("ok")]]
    script = ScriptedModel(answers)
    model = LimitedModel(script, Gate(8), on_incident=log.append)
    for _ in range(5):
        with pytest.raises(ModelError):
            await events_of(model)
    with pytest.raises(CircuitOpen, match="failed 5 times in a row and is left alone for 30 s") as caught:
        await events_of(model)
    assert caught.value.retry_after == 30
    assert len(script.requests) == 5
    await trio.sleep(30)
    outcomes = []

    async def ask() -> None:
        try:
            outcomes.append((await answer_of(model)).message.text)
        except CircuitOpen as error:
            outcomes.append(f"again in {error.retry_after:g} s")

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
    assert outcomes == ["again in 1 s", "again in 1 s", "ok"]
    assert log == [CircuitOpened("scripted", 5, 30), CircuitClosed("scripted")]


@pytest.mark.parametrize("kind", [BadRequest, RateLimited])
async def test_what_is_not_the_servers_fault_counts_as_a_sign_of_life(kind: type[ModelError]) -> None:
    answers: list[Answer] = [*[Fail(ServerFailed)] * 4, Fail(kind), *[Fail(ServerFailed)] * 4, "ok"]
    model = LimitedModel(ScriptedModel(answers), Gate(8))
    for _ in range(9):
        with pytest.raises(ModelError):
            await events_of(model)
    assert (await answer_of(model)).message.text == "ok"


async def test_a_server_that_always_breaks_off_is_left_alone_too() -> None:
    model = LimitedModel(ScriptedModel([[Say("a"), Fail()]], repeat=True), Gate(8))
    for _ in range(5):
        with pytest.raises(ModelError):
            await events_of(model)
    with pytest.raises(CircuitOpen):
        await events_of(model)


async def test_so_many_are_asked_at_once_and_who_came_first_goes_first(autojump_clock: MockClock) -> None:
    script = ScriptedModel([[Wait(1), Say("ok")]], repeat=True)
    counted = Counted(script)
    model = LimitedModel(counted, Gate(3))
    async with trio.open_nursery() as nursery:
        for n in range(10):
            nursery.start_soon(answer_of, model, str(n))
            await wait_all_tasks_blocked()
    assert counted.most == 3
    assert trio.current_time() == 4
    waves = [script.requests[n : n + 3] for n in range(0, 10, 3)]  # within one, Trio shuffles
    order = [sorted(request.messages[0].text for request in wave) for wave in waves]  # type: ignore[union-attr]
    assert order == [["0", "1", "2"], ["3", "4", "5"], ["6", "7", "8"], ["9"]]


async def test_a_place_is_waited_for_no_longer_than_allowed(autojump_clock: MockClock) -> None:
    model = LimitedModel(ScriptedModel([[Wait(100)]], repeat=True), Gate(1), wait=5)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(events_of, model)
        await wait_all_tasks_blocked()
        with pytest.raises(ModelTimeout, match="none of the 1 places at its server became free within 5 s"):
            await events_of(model)
        assert trio.current_time() == 5
        nursery.cancel_scope.cancel()


async def test_a_place_is_given_back_however_the_stream_ends(autojump_clock: MockClock) -> None:
    gate = Gate(1)
    answers: list[Answer] = ["whole", Fail(ServerFailed), [Say("closed early")], [Say("cancelled"), Wait(50)], "last"]
    model = LimitedModel(ScriptedModel(answers), gate, wait=1)
    await events_of(model)
    with pytest.raises(ServerFailed):
        await events_of(model)
    async with contextlib.aclosing(model.stream(asked())) as stream:
        await anext(stream)
    with trio.move_on_after(1):
        await events_of(model)
    assert (await answer_of(model)).message.text == "last"


async def test_who_is_cancelled_while_it_waits_takes_no_place(autojump_clock: MockClock) -> None:
    model = LimitedModel(ScriptedModel([[Wait(3), Say("slow")], "next"]), Gate(1))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(answer_of, model)
        await wait_all_tasks_blocked()
        with trio.move_on_after(1):
            await events_of(model)
        assert (await answer_of(model)).message.text == "next"


def test_the_smallest_number_of_places_holds() -> None:
    gate = Gate(8)
    gate.narrow(3)
    gate.narrow(5)
    assert gate.concurrency == 3
