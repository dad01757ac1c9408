"""Asking again: when, after which waits, and that what comes out is never a mixture."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence
from random import Random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from anima.llm import (
    Assembly,
    BadKey,
    BadRequest,
    BrokenStream,
    CircuitOpen,
    Finish,
    Incident,
    ModelError,
    ModelEvent,
    ModelRequest,
    ModelTimeout,
    NetworkFailed,
    QuotaExceeded,
    RateLimited,
    Reset,
    ResilientModel,
    Retry,
    Retrying,
    ServerFailed,
    TextDelta,
)
from anima.llm._resilient import backoff
from anima.testing import Answer, Call, Fail, Say, ScriptedModel, Step, Think, Wait
from tests.anima.llm.flaky import Counted, answer_of, asked, events_of


def resilient(answers: Sequence[Answer], retry: Retry = Retry()) -> ResilientModel:
    return ResilientModel(ScriptedModel(answers), retry, random=Random(1))


async def test_before_the_first_event_a_failure_is_silent(autojump_clock: MockClock) -> None:
    log: list[Incident] = []
    model = ResilientModel(ScriptedModel([Fail(ServerFailed), Fail(NetworkFailed), "ok"]), on_incident=log.append)
    assert [type(event) for event in await events_of(model)] == [TextDelta, Finish]
    assert [(type(i.error), i.attempt) for i in log if isinstance(i, Retrying)] == [
        (ServerFailed, 2),
        (NetworkFailed, 3),
    ]


async def test_later_a_reset_says_that_what_came_is_void(autojump_clock: MockClock) -> None:
    model = resilient([[Say("half"), Fail(BrokenStream, "it broke")], "whole"])
    events = await events_of(model)
    assert events[:3] == [TextDelta("half"), Reset("scripted: it broke"), TextDelta("whole")]


async def test_the_reset_does_not_wait_for_the_next_attempt(autojump_clock: MockClock) -> None:
    model = resilient([[Say("half"), Fail(RateLimited, retry_after=30)], "whole"])
    async with contextlib.aclosing(model.stream(asked())) as stream:
        async for event in stream:
            if isinstance(event, Reset):
                assert trio.current_time() < 1
            if isinstance(event, Finish):
                assert trio.current_time() > 30


@pytest.mark.parametrize("kind", [BadRequest, BadKey, QuotaExceeded])
async def test_what_cannot_pass_is_not_tried_again(kind: type[ModelError]) -> None:
    model = resilient([Fail(kind, "no"), "never"])
    with pytest.raises(kind, match=r"^scripted: no$"):
        await events_of(model)


async def test_it_gives_up_after_so_many_attempts_and_says_so(autojump_clock: MockClock) -> None:
    script = ScriptedModel([Fail(ServerFailed, "oops", status=500)], repeat=True)
    with pytest.raises(ServerFailed, match=r"oops \(given up after 3 attempts\)") as caught:
        await events_of(ResilientModel(script, Retry(max_retries=2)))
    assert caught.value.status == 500
    assert len(script.requests) == 3


async def test_without_retries_the_error_comes_as_it_is() -> None:
    with pytest.raises(ServerFailed, match=r"^scripted: oops$"):
        await events_of(resilient([Fail(ServerFailed, "oops")], Retry(max_retries=0)))


async def test_what_the_server_wants_is_waited_for(autojump_clock: MockClock) -> None:
    retry = Retry(initial_delay=0.1)
    await events_of(resilient([Fail(RateLimited, retry_after=20), "ok"], retry))
    assert 20 <= trio.current_time() <= 20.1


async def test_it_gives_up_at_once_where_the_server_wants_too_much(autojump_clock: MockClock) -> None:
    model = resilient([Fail(RateLimited, "slow down", retry_after=3600), "never"], Retry(retry_after_cap=60))
    with pytest.raises(RateLimited, match=r"slow down .*left alone for 3600 s, and retry_after_cap is 60 s") as caught:
        await events_of(model)
    assert caught.value.retry_after == 3600
    assert trio.current_time() == 0


async def test_all_attempts_end_in_time(autojump_clock: MockClock) -> None:
    retry = Retry(max_retries=100, initial_delay=5, exponential_base=1, max_delay=5, total=20)
    with pytest.raises(ServerFailed, match="beyond the 20 s that all of them have"):
        await events_of(ResilientModel(ScriptedModel([Fail(ServerFailed)], repeat=True), retry))
    assert trio.current_time() <= 20


async def test_an_attempt_that_hangs_ends_in_time_too(autojump_clock: MockClock) -> None:
    model = Counted(ScriptedModel([Fail(ServerFailed), [Say("a"), Wait(50)]]))
    with pytest.raises(ModelTimeout, match="given up after the 20 s that all attempts have"):
        await events_of(ResilientModel(model, Retry(total=20)))
    assert trio.current_time() == 20
    assert model.open == 0


async def test_an_impatient_one_does_not_wait_for_a_circuit(autojump_clock: MockClock) -> None:
    open_ = Fail(CircuitOpen, "down", retry_after=30)
    with pytest.raises(CircuitOpen):
        await events_of(ResilientModel(ScriptedModel([open_, "ok"]), patient=False))
    assert trio.current_time() == 0
    await events_of(ResilientModel(ScriptedModel([open_, "ok"])))
    assert trio.current_time() >= 30


async def test_the_wait_for_a_circuit_is_no_attempt(autojump_clock: MockClock) -> None:
    closed = [Fail(CircuitOpen, "down", retry_after=10)] * 5
    model = ResilientModel(ScriptedModel([*closed, Fail(ServerFailed), "ok"]), Retry(max_retries=1))
    assert (await answer_of(model)).message.text == "ok"
    with pytest.raises(CircuitOpen, match="beyond the 25 s"):
        await events_of(ResilientModel(ScriptedModel(closed), Retry(max_retries=1, total=25)))


async def test_a_stream_without_an_end_is_a_broken_one(autojump_clock: MockClock) -> None:
    class Endless:
        name = "endless"

        async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
            await trio.lowlevel.checkpoint()
            yield TextDelta("a")

    with pytest.raises(BrokenStream, match="ended before its end"):
        await events_of(ResilientModel(Endless(), Retry(max_retries=1)))


async def test_closing_it_closes_the_stream_below(autojump_clock: MockClock) -> None:
    model = Counted(ScriptedModel(["a b c"]))
    async with contextlib.aclosing(ResilientModel(model).stream(asked())) as stream:
        assert await anext(stream) == TextDelta("a")
        assert model.open == 1
    assert model.open == 0


async def test_a_cancellation_passes(autojump_clock: MockClock) -> None:
    model = Counted(ScriptedModel([[Say("a"), Wait(50)]]))
    with trio.move_on_after(1) as scope:
        await events_of(ResilientModel(model))
    assert scope.cancelled_caught
    assert model.open == 0


@given(
    failures=st.integers(1, 2000),
    initial=st.floats(0, 100),
    longest=st.floats(0, 1000),
    base=st.floats(1, 1e6),
    wish=st.none() | st.floats(0, 100),
)
def test_a_wait_is_at_least_what_the_server_wants_and_no_longer_than_the_ceiling(
    failures: int, initial: float, longest: float, base: float, wish: float | None
) -> None:
    retry = Retry(initial_delay=initial, max_delay=longest, exponential_base=base)
    delay = backoff(retry, failures, wish, Random(failures))
    assert (wish or 0) <= delay <= (wish or 0) + longest


def test_waits_are_random_between_nothing_and_a_ceiling_that_grows() -> None:
    random = Random(3)
    retry = Retry(initial_delay=1, max_delay=8)
    for failures, ceiling in ((1, 1), (2, 2), (3, 4), (4, 8), (9, 8)):
        waits = [backoff(retry, failures, None, random) for _ in range(200)]
        assert max(waits) <= ceiling
        assert max(waits) > 0.9 * ceiling
        assert min(waits) < 0.1 * ceiling


@st.composite
def attempts(draw: st.DrawFn) -> list[list[Step]]:
    """Answers of which each says its own number, and most of which fail somewhere."""
    number = draw(st.integers(1, 6))
    answers = []
    for n in range(number):
        steps: list[Step] = [Think(f"t{n}"), Say(f"{n} {n} {n}", draw(st.integers(1, 4))), Call(f"tool{n}", {"n": n})]
        cut = draw(st.integers(0, len(steps)))
        kind = draw(st.sampled_from([None, BrokenStream, ServerFailed, RateLimited, ModelTimeout, BadKey]))
        if kind is not None:
            steps[cut:] = [Fail(kind, retry_after=draw(st.sampled_from([None, 1.0, 100.0])))]
        answers.append(steps)
    return answers


@given(answers=attempts(), retries=st.integers(0, 6), seed=st.integers(0, 9))
def test_whatever_fails_what_comes_out_is_one_whole_answer_or_an_error(
    answers: list[list[Step]], retries: int, seed: int
) -> None:
    async def run() -> None:
        script = ScriptedModel(answers)
        model = ResilientModel(script, Retry(max_retries=retries), random=Random(seed))
        assembly = Assembly()
        with contextlib.suppress(ModelError):
            async for event in model.stream(asked()):
                assert assembly.answer() is None, "nothing comes after the end"
                assembly.feed(event)
        answer = assembly.answer()
        n = len(script.requests) - 1
        assert n <= retries
        if answer is not None:
            alone = Assembly()
            for event in await events_of(ScriptedModel([answers[n]])):
                alone.feed(event)
            whole = alone.answer()
            assert whole is not None
            assert answer.message.text == whole.message.text
            assert [call.arguments for call in answer.message.calls] == [c.arguments for c in whole.message.calls]
            assert len(answer.message.parts) == len(whole.message.parts)

    trio.run(run, clock=MockClock(autojump_threshold=0))


async def test_answers_are_whole_after_a_retry(autojump_clock: MockClock) -> None:
    model = resilient([[Say("half"), Call("add", '{"a": '), Fail()], [Say("It is "), Call("add", {"a": 1})]])
    answer = await answer_of(model)
    assert answer.message.text == "It is "
    assert [call.arguments for call in answer.message.calls] == ['{"a": 1}']
