"""The messages API without a network: what the events of a stream mean."""

from __future__ import annotations

from typing import Any

import pytest

from anima.llm import BrokenStream, FinishReason, ReasoningDelta, ServerFailed, TextDelta, ToolCallDelta, Usage
from anima.llm._anthropic import MessageParser
from anima.llm._sse import ServerEvent
from anima_tools import ToolCall
from tests.anima.llm.messages_api import fed, streamed, whole
from tests.servers import answers
from tests.servers.answers import Answer


def start(index: int, kind: str, **more: object) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}


def delta(index: int, kind: str, **more: object) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def end(reason: str | None = "end_turn", **usage: int) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


def test_text_comes_piece_by_piece() -> None:
    events, parser = fed(
        {"type": "message_start", "message": {"model": "m-2", "usage": {"input_tokens": 3, "output_tokens": 1}}},
        {"type": "ping"},
        start(0, "text", text=""),
        delta(0, "text_delta", text="Hel"),
        delta(0, "text_delta", text="lo"),
        stop(0),
        end(output_tokens=7),
        {"type": "message_stop"},
    )
    assert events == [TextDelta("Hel"), TextDelta("lo")]
    assert parser.over
    finish = parser.finish()
    assert finish.reason is FinishReason.STOP
    assert finish.usage == Usage(3, 7)
    assert (finish.model, finish.provider) == ("m-2", "anthropic")


def test_input_tokens_are_those_from_the_cache_and_to_it_as_well() -> None:
    usage = {"input_tokens": 1, "cache_read_input_tokens": 20, "cache_creation_input_tokens": 300, "output_tokens": 1}
    details = {"output_tokens": 5, "output_tokens_details": {"thinking_tokens": 2}}
    _, parser = fed({"type": "message_start", "message": {"usage": usage}}, end() | {"usage": details})
    assert parser.finish().usage == Usage(321, 5, cached_tokens=20, cache_writes=300, reasoning_tokens=2)


def test_a_later_count_replaces_an_earlier_one() -> None:
    _, parser = fed(
        {"type": "message_start", "message": {"usage": {"input_tokens": 0, "output_tokens": 1}}},
        end(None, input_tokens=9, output_tokens=2),
        end(output_tokens=4),
    )
    assert parser.finish().usage == Usage(9, 4)


def test_thinking_ends_with_its_signature() -> None:
    events, _ = fed(
        start(0, "thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="si"),
        delta(0, "signature_delta", signature="g"),
        stop(0),
    )
    assert events == [ReasoningDelta("hm"), ReasoningDelta("", "sig")]


def test_a_call_comes_in_pieces() -> None:
    events, parser = fed(
        start(0, "text", text=""),
        stop(0),
        start(1, "tool_use", id="t1", name="add", input={}),
        delta(1, "input_json_delta", partial_json=""),
        delta(1, "input_json_delta", partial_json='{"a"'),
        delta(1, "input_json_delta", partial_json=": 1}"),
        stop(1),
        start(2, "tool_use", id="t2", name="now", input={}),
        stop(2),
        end("tool_use"),
    )
    assert events == [
        ToolCallDelta(0, "t1", "add"),
        ToolCallDelta(0, arguments='{"a"'),
        ToolCallDelta(0, arguments=": 1}"),
        ToolCallDelta(1, "t2", "now"),
        ToolCallDelta(1, arguments="{}"),
    ]
    assert parser.finish().reason is FinishReason.TOOL_CALLS


def test_a_call_may_come_at_once() -> None:
    events, _ = fed(start(0, "tool_use", id="t1", name="add", input={"a": 1}), stop(0))
    assert events == [ToolCallDelta(0, "t1", "add"), ToolCallDelta(0, arguments='{"a": 1}')]


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("pause_turn", FinishReason.STOP),
        ("tool_use", FinishReason.STOP),  # none came
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("refusal", FinishReason.FILTERED),
        ("something_new", FinishReason.STOP),
    ],
)
def test_each_reason_is_one_of_ours(reason: str, expected: FinishReason) -> None:
    assert fed(end(reason))[1].finish().reason is expected


@pytest.mark.parametrize("found", [(), (start(0, "text", text="x"),), (end(None), {"type": "message_stop"})])
def test_a_stream_that_ends_without_a_reason_is_broken(found: tuple[object, ...]) -> None:
    _, parser = fed(*found)
    assert not parser.whole
    with pytest.raises(BrokenStream):
        parser.finish()


def test_an_error_in_the_stream_is_one() -> None:
    with pytest.raises(ServerFailed, match="Overloaded"):
        fed(
            start(0, "text", text="x"),
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
        )


@pytest.mark.parametrize("data", ["{", "nothing", "[]", "17", '{"type": "content_block_delta"}', "[" * 100_000])
def test_what_is_no_event_is_shown_by_its_beginning(data: str) -> None:
    with pytest.raises(ServerFailed) as caught:
        fed(data)
    assert f"begins: {data[:10]}" in str(caught.value)


def test_what_is_not_known_is_passed_over() -> None:
    events, parser = fed(
        {"type": "news"},
        {},
        start(0, "server_tool_use", id="x", name="web_search", input={"q": "a"}),
        delta(0, "input_json_delta", partial_json="{}"),
        delta(0, "citations_delta", citation={}),
        stop(0),
        stop(7),
        end(),
    )
    assert events == []
    assert parser.finish().reason is FinishReason.STOP


def test_the_name_of_the_event_stands_in_for_a_type_that_is_missing() -> None:
    parser = MessageParser("m", "anthropic")
    assert list(parser.feed(ServerEvent('{"delta": {"stop_reason": "end_turn"}}', "message_delta"))) == []
    assert parser.whole


def test_a_whole_answer_is_as_good_as_a_stream() -> None:
    script = Answer(
        text="Hello you",
        reasoning="hm",
        signature="sig",
        hidden="xyz",
        calls=[ToolCall("c", "add", '{"a": 1}')],
        usage=Usage(9, 4, 1, 2),
    )
    found = answers.message_whole(script, 1)
    assert whole(found["content"], found) == streamed(b"".join(answers.message_events(script, 1)))


@pytest.mark.parametrize("found", [{}, [], None, {"content": "x"}, {"type": "message"}, {"type": "error"}])
def test_json_that_is_no_answer_is_refused(found: object) -> None:
    with pytest.raises(ServerFailed):
        list(MessageParser("m", "anthropic").feed_whole(found))
