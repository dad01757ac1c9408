"""The scripted model: what stands in the script is what comes, event by event."""

from __future__ import annotations

import json

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from anima.llm import (
    Assembly,
    BadRequest,
    BrokenStream,
    Finish,
    FinishReason,
    Model,
    ModelAnswer,
    ModelEvent,
    ModelRequest,
    ModelTimeout,
    RateLimited,
    Reasoning,
    Text,
    TextDelta,
    Timeouts,
    ToolMessage,
    Usage,
    UserMessage,
)
from anima.testing import Call, End, Fail, Say, ScriptedModel, Think, Wait, When
from anima_supervisors import BadSpec
from anima_tools import ToolCall, ToolResult


def asked(text: str) -> ModelRequest:
    return ModelRequest(messages=[UserMessage(text)])


async def events_of(model: Model, request: ModelRequest) -> list[ModelEvent]:
    return [event async for event in model.stream(request)]


async def answer_of(model: Model, text: str = "hello") -> ModelAnswer:
    assembly = Assembly()
    async for event in model.stream(asked(text)):
        assembly.feed(event)
    answer = assembly.answer()
    assert answer is not None
    return answer


async def test_answers_come_in_their_order_word_by_word() -> None:
    model = ScriptedModel(["one two", Say("three")])
    events = await events_of(model, asked("a b c"))
    assert events == [
        TextDelta("one"),
        TextDelta(" two"),
        Finish(FinishReason.STOP, Usage(3, 2), "scripted", "scripted"),
    ]
    assert (await answer_of(model)).message.text == "three"


async def test_a_text_comes_in_pieces_of_the_size_that_is_asked_for() -> None:
    events = await events_of(ScriptedModel([Say("ünïcode", size=3)]), asked(""))
    assert events[:-1] == [TextDelta("ünï"), TextDelta("cod"), TextDelta("e")]


@given(text=st.text(), size=st.none() | st.integers(1, 9))
def test_no_text_is_changed_by_being_cut(text: str, size: int | None) -> None:
    async def run() -> None:
        assert (await answer_of(ScriptedModel([Say(text, size)]))).message.text == text

    trio.run(run)


async def test_calls_come_with_their_arguments_as_json_and_an_id_of_their_own() -> None:
    model = ScriptedModel([[Say("Both."), Call("add", {"a": 2, "b": "é"}), Call("echo", "{not json", id="mine")]])
    answer = await answer_of(model)
    assert answer.finish.reason is FinishReason.TOOL_CALLS
    first, second = answer.message.calls
    assert json.loads(first.arguments) == {"a": 2, "b": "é"}
    assert first.id != second.id
    assert second == ToolCall("mine", "echo", "{not json")


async def test_ids_of_calls_do_not_repeat_over_answers() -> None:
    model = ScriptedModel([Call("a"), Call("a")])
    ids = [(await answer_of(model)).message.calls[0].id for _ in range(2)]
    assert len(set(ids)) == 2


async def test_reasoning_comes_before_what_is_said_and_is_signed() -> None:
    answer = await answer_of(ScriptedModel([[Think("so it is", "s1"), Say("Yes.")]]))
    assert answer.message.parts == (Reasoning("so it is", "s1"), Text("Yes."))
    assert answer.finish.usage.reasoning_tokens == 3


async def test_the_end_is_as_the_script_says() -> None:
    answer = await answer_of(ScriptedModel([[Say("cut"), End(FinishReason.LENGTH, Usage(7, 8))]]))
    assert (answer.finish.reason, answer.finish.usage) == (FinishReason.LENGTH, Usage(7, 8))


async def test_a_failure_comes_as_the_error_that_it_names() -> None:
    model = ScriptedModel([Fail(RateLimited, "slow down", status=429, retry_after=2.0)])
    with pytest.raises(RateLimited, match="scripted: slow down") as caught:
        await events_of(model, asked(""))
    assert (caught.value.status, caught.value.retry_after) == (429, 2.0)


async def test_a_stream_breaks_where_the_script_says() -> None:
    got = []
    with pytest.raises(BrokenStream):
        async for event in ScriptedModel([[Say("half of"), Fail()]]).stream(asked("")):
            got.append(event)
    assert got == [TextDelta("half"), TextDelta(" of")]


async def test_a_wait_is_one_on_trios_clock(autojump_clock: MockClock) -> None:
    started = trio.current_time()
    await answer_of(ScriptedModel([[Wait(5), Say("late")]]))
    assert trio.current_time() - started == 5


@pytest.mark.parametrize(
    ("steps", "stage", "after"),
    [
        ([Wait(11), Say("late")], "first token", 10),
        ([Say("late"), Wait(6)], "next token", 5),
        ([Wait(9), Say("a"), Wait(4), Say("b"), Wait(4)], "whole answer", 15),
    ],
)
async def test_a_wait_beyond_a_timeout_ends_as_that_of_a_server(
    steps: list[Say | Wait], stage: str, after: float, autojump_clock: MockClock
) -> None:
    started = trio.current_time()
    model = ScriptedModel([steps], timeouts=Timeouts(first_token=10, between=5, total=15))
    with pytest.raises(ModelTimeout, match=stage):
        await answer_of(model)
    assert trio.current_time() - started == after


async def test_an_answer_may_be_a_function_of_the_request() -> None:
    async def slowly(request: ModelRequest) -> Say:
        await trio.lowlevel.checkpoint()
        return Say("slowly")

    model = ScriptedModel([lambda request: f"{len(request.messages)} message", slowly])
    assert (await answer_of(model)).message.text == "1 message"
    assert (await answer_of(model)).message.text == "slowly"


async def test_requests_are_kept() -> None:
    model = ScriptedModel(["a", "b"])
    await answer_of(model, "first")
    await answer_of(model, "second")
    assert [request.messages[0] for request in model.requests] == [UserMessage("first"), UserMessage("second")]


async def test_a_script_that_is_over_says_so() -> None:
    model = ScriptedModel(["a"])
    await answer_of(model)
    with pytest.raises(BadRequest, match="the script has 1 answer; this is request 2: 'again'"):
        await answer_of(model, "again")


async def test_with_repeat_a_script_begins_again() -> None:
    model = ScriptedModel(["a", "b"], repeat=True)
    assert [(await answer_of(model)).message.text for _ in range(5)] == ["a", "b", "a", "b", "a"]


async def test_answers_are_chosen_by_the_last_message_in_any_order() -> None:
    model = ScriptedModel([When("weather", "Sunny."), When("(?i)time", "Noon."), "Hm."])
    said = [(await answer_of(model, text)).message.text for text in ("the Time?", "the weather?", "the weather?")]
    assert said == ["Noon.", "Sunny.", "Hm."]


async def test_with_repeat_only_what_fits_begins_again() -> None:
    model = ScriptedModel([When("a", "1"), When("a", "2"), When("b", "3")], repeat=True)
    said = [(await answer_of(model, text)).message.text for text in ("a", "b", "a", "a", "b")]
    assert said == ["1", "3", "2", "1", "3"]


async def test_an_answer_can_wait_for_what_a_tool_said() -> None:
    model = ScriptedModel([When("^4$", "It is 4.")])
    request = ModelRequest(messages=[ToolMessage([ToolResult("1", "add", "4")])])
    assert TextDelta(" 4.") in await events_of(model, request)


def test_what_can_never_work_is_refused() -> None:
    with pytest.raises(BadSpec, match="regular expression"):
        When("(", "a")
    with pytest.raises(BadSpec, match="size"):
        Say("a", 0)
