"""Chat completions without a network: what the chunks of a stream mean."""

from __future__ import annotations

from typing import Any

import pytest

from anima.llm import (
    Assembly,
    BrokenStream,
    FinishReason,
    ModelAnswer,
    RateLimited,
    ReasoningDelta,
    ServerFailed,
    TextDelta,
    Usage,
)
from anima.llm._openai import ChatParser
from anima_tools import ToolCall
from tests.anima.llm.chat_completions import fed, streamed
from tests.servers import answers
from tests.servers.answers import Answer


def chunk(delta: object = None, reason: str | None = None, **more: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


def call(
    index: int | None = None, id: str | None = None, name: str | None = None, args: object = None
) -> dict[str, Any]:
    piece: dict[str, Any] = {"id": id, "function": {"name": name, "arguments": args}}
    if index is not None:
        piece["index"] = index
    return {"tool_calls": [piece]}


def answer(*chunks: object) -> ModelAnswer:
    events, parser = fed(*chunks)
    assembly = Assembly()
    for event in [*events, parser.finish()]:
        assembly.feed(event)
    found = assembly.answer()
    assert found is not None
    return found


def calls(*chunks: object) -> list[tuple[str, str, str]]:
    found = answer(*chunks, chunk(reason="tool_calls"))
    return [(call.id, call.name, call.arguments) for call in found.message.calls]


def test_text_comes_piece_by_piece_and_usage_after_the_reason() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    events, parser = fed(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Hel"}),
        chunk({"content": "lo"}),
        chunk({}, "stop", model="m-2"),
        {"choices": [], "usage": usage},
        "[DONE]",
    )
    assert events == [TextDelta("Hel"), TextDelta("lo")]
    assert parser.over
    end = parser.finish()
    assert end.reason is FinishReason.STOP
    assert end.usage == Usage(9, 4, cached_tokens=3, reasoning_tokens=2)
    assert (end.model, end.provider) == ("m-2", "openai")


def test_a_stream_without_its_last_event_is_whole_if_the_reason_came() -> None:
    _, parser = fed(chunk({"content": "x"}), chunk({}, "stop"))
    assert parser.whole
    assert not parser.over


@pytest.mark.parametrize("chunks", [(), (chunk({"content": "x"}),), (chunk({"content": "x"}), "[DONE]")])
def test_a_stream_that_ends_without_a_reason_is_broken(chunks: tuple[object, ...]) -> None:
    _, parser = fed(*chunks)
    assert not parser.whole
    with pytest.raises(BrokenStream):
        parser.finish()


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_comes_under_several_names(key: str) -> None:
    assert fed(chunk({key: "hm", "content": None}))[0] == [ReasoningDelta("hm")]


def test_reasoning_under_two_names_at_once_comes_once() -> None:
    assert fed(chunk({"reasoning_content": "hm", "reasoning": "hm"}))[0] == [ReasoningDelta("hm")]


def test_a_call_comes_in_pieces() -> None:
    assert calls(
        chunk(call(0, "c1", "add", "")),
        chunk(call(0, args='{"a"')),
        chunk(call(0, args=": 1}")),
        chunk(call(1, "c2", "sub", "{}")),
    ) == [("c1", "add", '{"a": 1}'), ("c2", "sub", "{}")]


def test_calls_may_be_mixed() -> None:
    found = calls(
        chunk(call(0, "c1", "add")), chunk(call(1, "c2", "sub")), chunk(call(0, args="[]")), chunk(call(1, args="{}"))
    )
    assert found == [("c1", "add", "[]"), ("c2", "sub", "{}")]


def test_a_call_may_come_at_once_without_index_and_with_an_object() -> None:
    assert calls(chunk(call(None, "c1", "add", {"a": 1})), chunk(call(None, "c2", "add", "{}"))) == [
        ("c1", "add", '{"a": 1}'),
        ("c2", "add", "{}"),
    ]


def test_pieces_without_index_go_on_with_the_last_call_or_that_of_their_id() -> None:
    assert calls(
        chunk(call(None, "c1", "add", '{"a"')),
        chunk(call(None, args=": 1")),
        chunk(call(None, "c1", args="}")),
    ) == [("c1", "add", '{"a": 1}')]


def test_calls_without_index_and_id_are_told_apart_by_their_names() -> None:
    assert calls(chunk(call(None, None, "add", "{}")), chunk(call(None, None, "add", "{}"))) == [
        ("call_0", "add", "{}"),
        ("call_1", "add", "{}"),
    ]


def test_the_same_index_with_another_id_and_name_is_another_call() -> None:
    assert calls(
        chunk(call(0, "c1", "add", "{}")), chunk(call(0, "c2", "add", '{"a": ')), chunk(call(0, args="1}"))
    ) == [
        ("c1", "add", "{}"),
        ("c2", "add", '{"a": 1}'),
    ]


def test_an_id_that_is_new_in_each_piece_makes_no_new_call() -> None:
    assert calls(chunk(call(0, "c1", "add", "{")), chunk(call(0, "c9", args="}"))) == [("c1", "add", "{}")]


def test_an_id_that_is_repeated_in_each_piece_makes_no_new_call() -> None:
    assert calls(chunk(call(0, "c1", "add", "{")), chunk(call(0, "c1", "add", "}"))) == [("c1", "add", "{}")]


def test_a_call_without_arguments_gets_an_empty_object() -> None:
    assert calls(chunk(call(0, "c1", "now"))) == [("c1", "now", "{}")]
    assert calls(chunk(call(0, "c1", "now", ""))) == [("c1", "now", "{}")]


def test_a_call_that_was_cut_short_gets_none() -> None:
    found = answer(chunk(call(0, "c1", "now")), chunk({}, "length"))
    assert found.finish.reason is FinishReason.LENGTH
    assert [call.arguments for call in found.message.calls] == [""]


@pytest.mark.parametrize(
    ("reason", "with_call", "expected"),
    [
        ("stop", False, FinishReason.STOP),
        ("eos", False, FinishReason.STOP),
        ("stop", True, FinishReason.TOOL_CALLS),
        ("tool_calls", False, FinishReason.STOP),
        ("tool_calls", True, FinishReason.TOOL_CALLS),
        ("function_call", True, FinishReason.TOOL_CALLS),
        ("length", True, FinishReason.LENGTH),
        ("content_filter", False, FinishReason.FILTERED),
    ],
)
def test_the_reason_fits_what_came(reason: str, with_call: bool, expected: FinishReason) -> None:
    begin = chunk(call(0, "c1", "add", "{}")) if with_call else chunk({"content": "x"})
    assert answer(begin, chunk({}, reason)).finish.reason is expected


def test_a_refusal_is_text_and_filtered() -> None:
    found = answer(chunk({"refusal": "I will not."}), chunk({}, "stop"))
    assert found.message.text == "I will not."
    assert found.finish.reason is FinishReason.FILTERED


def test_an_error_in_the_stream_is_one() -> None:
    with pytest.raises(RateLimited, match="slow down"):
        fed(chunk({"content": "x"}), {"error": {"code": 429, "message": "slow down"}})


@pytest.mark.parametrize("reason", ["error", "insufficient_system_resource"])
def test_a_server_that_gives_up_has_failed(reason: str) -> None:
    with pytest.raises(ServerFailed, match=reason):
        fed(chunk({"content": "x"}), chunk({}, reason))


@pytest.mark.parametrize("data", ["{", "nothing", "[]", "17", '{"choices": [3]}', "[" * 100_000])
def test_what_is_no_chunk_is_shown_by_its_beginning(data: str) -> None:
    with pytest.raises(ServerFailed) as caught:
        fed(data)
    assert f"begins: {data[:10]}" in str(caught.value)


@pytest.mark.parametrize(
    "data", [{}, {"choices": None}, chunk(None), chunk({}), chunk({"content": None}), {"choices": [{}]}]
)
def test_chunks_that_say_nothing_are_passed_over(data: object) -> None:
    assert fed(data)[0] == []


def test_only_the_first_of_several_choices_is_read() -> None:
    assert fed({"choices": [{"index": 1, "delta": {"content": "x"}}, {"index": 0, "delta": {"content": "y"}}]})[0] == [
        TextDelta("y")
    ]


def test_content_may_be_a_list_of_parts() -> None:
    assert fed(chunk({"content": [{"type": "text", "text": "a"}, {"type": "other"}]}))[0] == [TextDelta("a")]


def test_nothing_counts_after_the_end() -> None:
    assert fed(chunk({}, "stop"), "[DONE]", chunk({"content": "x"}), "{")[0] == []


def test_a_whole_answer_is_as_good_as_a_stream() -> None:
    script = Answer(
        text="Hello you", reasoning="hm", calls=[ToolCall("c", "add", '{"a": 1}')], usage=Usage(3, 4, 1, 0, 2)
    )
    parser, assembly = ChatParser("m", "openai"), Assembly()
    for event in [*parser.feed_whole(answers.chat_whole(script, 1)), parser.finish()]:
        assembly.feed(event)
    assert parser.over
    assert assembly.answer() == streamed(b"".join(answers.chat_events(script, 1)))


@pytest.mark.parametrize("found", [{}, [], None, {"choices": []}, {"choices": [{"text": "x"}]}, {"object": "list"}])
def test_json_that_is_no_answer_is_refused(found: object) -> None:
    with pytest.raises(ServerFailed):
        list(ChatParser("m", "openai").feed_whole(found))
