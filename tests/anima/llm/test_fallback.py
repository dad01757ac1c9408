"""Asking another model: which errors pass on, and that one that has failed is left alone for a while."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from anima.llm import (
    BadKey,
    BadRequest,
    BrokenStream,
    CassetteMiss,
    CircuitOpen,
    ContextOverflow,
    FallbackModel,
    FallingBack,
    Finish,
    Incident,
    ModelError,
    NetworkFailed,
    QuotaExceeded,
    RateLimited,
    Reset,
    ResilientModel,
    Retry,
    ServerFailed,
    TextDelta,
)
from anima.llm._fallback import CoolDowns
from anima.testing import Answer, Fail, Say, ScriptedModel, Step
from anima_supervisors import BadSpec
from tests.anima.llm.flaky import answer_of, events_of


def first(*answers: Answer, repeat: bool = False) -> ScriptedModel:
    return ScriptedModel(answers, "first", repeat=repeat)


def second(*answers: Answer) -> ScriptedModel:
    return ScriptedModel(answers, "second", repeat=True)


@pytest.mark.parametrize(
    "kind", [BadKey, QuotaExceeded, RateLimited, ServerFailed, CircuitOpen, NetworkFailed, ContextOverflow]
)
async def test_who_cannot_answer_is_replaced(kind: type[ModelError]) -> None:
    log: list[Incident] = []
    model = FallbackModel([first(Fail(kind, "no")), second("ok")], on_incident=log.append)
    answer = await answer_of(model)
    assert (answer.message.text, answer.finish.model) == ("ok", "second")
    assert [(i.model, i.to) for i in log if isinstance(i, FallingBack)] == [("first", "second")]


@pytest.mark.parametrize("kind", [BadRequest, CassetteMiss])
async def test_a_request_that_is_wrong_is_wrong_for_all(kind: type[ModelError]) -> None:
    other = second("never")
    with pytest.raises(kind, match="first: no"):
        await events_of(FallbackModel([first(Fail(kind, "no")), other]))
    assert other.requests == []


async def test_what_came_of_the_first_is_void() -> None:
    events = await events_of(FallbackModel([first([Say("half"), Fail()]), second("whole")]))
    assert [type(event) for event in events] == [TextDelta, Reset, TextDelta, Finish]


async def test_who_has_failed_is_left_alone_for_a_while(autojump_clock: MockClock) -> None:
    one = first(Fail(ServerFailed), "back")
    model = FallbackModel([one, second("other")], cool_down=30)
    assert (await answer_of(model)).message.text == "other"
    await trio.sleep(29)
    assert (await answer_of(model)).message.text == "other"
    assert len(one.requests) == 1
    await trio.sleep(1)
    assert (await answer_of(model)).message.text == "back"


async def test_it_is_left_alone_by_all_that_share_the_cool_downs() -> None:
    cool_downs = CoolDowns()
    one = first(Fail(ServerFailed), "back")
    for _ in range(2):
        model = FallbackModel([one, second("other")], cool_downs=cool_downs)
        assert (await answer_of(model)).message.text == "other"
    assert len(one.requests) == 1


async def test_one_whose_context_was_too_small_goes_on_with_other_requests() -> None:
    one = first(Fail(ContextOverflow), "back")
    model = FallbackModel([one, second("other")])
    assert [(await answer_of(model)).message.text for _ in range(2)] == ["other", "back"]


async def test_when_all_have_failed_lately_they_are_asked_all_the_same() -> None:
    model = FallbackModel([first(Fail(ServerFailed), "back"), second(Fail(ServerFailed))])
    with pytest.raises(ServerFailed):
        await events_of(model)
    assert (await answer_of(model)).message.text == "back"


async def test_the_error_tells_of_all_that_were_asked() -> None:
    model = FallbackModel([first(Fail(BadKey, "wrong key")), second(Fail(RateLimited, "slow down", retry_after=3))])
    with pytest.raises(RateLimited, match="second: slow down; before it, first: wrong key") as caught:
        await events_of(model)
    assert caught.value.retry_after == 3


async def test_what_works_is_asked_alone() -> None:
    other = second("never")
    assert (await answer_of(FallbackModel([first("ok"), other]))).message.text == "ok"
    assert other.requests == []


STREAMS = st.tuples(st.integers(0, 3), st.sampled_from([None, BrokenStream, BadKey, ContextOverflow, BadRequest]))


@given(st.lists(STREAMS, min_size=1, max_size=4))
def test_whatever_fails_what_comes_out_is_the_whole_answer_of_one_or_an_error(
    streams: list[tuple[int, type[ModelError] | None]],
) -> None:
    async def run() -> None:
        models = []
        for n, (said, kind) in enumerate(streams):
            steps: list[Step] = [*[Say(f"{n} ")] * said, *([] if kind is None else [Fail(kind)])]
            model = ScriptedModel([steps], f"m{n}", repeat=True)
            models.append(ResilientModel(model, Retry(max_retries=1, initial_delay=0)))
        whole = [n for n, (_, kind) in enumerate(streams) if kind in (None, BadRequest)]
        try:
            answer = await answer_of(FallbackModel(models))
        except ModelError as error:
            assert not whole or isinstance(error, BadRequest)
        else:
            assert answer.message.text == f"{whole[0]} " * streams[whole[0]][0]

    trio.run(run)


def test_without_models_there_is_nothing_to_ask() -> None:
    with pytest.raises(BadSpec):
        FallbackModel([])
