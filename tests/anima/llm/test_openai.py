"""Chat completions without a network: what is sent, and what the chunks of a stream mean."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.llm import (
    Assembly,
    AssistantMessage,
    BrokenStream,
    FinishReason,
    ModelAnswer,
    ModelError,
    ModelEvent,
    ModelRequest,
    ModelSpec,
    OutputSchema,
    RateLimited,
    Reasoning,
    ReasoningDelta,
    ServerFailed,
    Text,
    TextDelta,
    ToolChoice,
    ToolMessage,
    ToolSpec,
    Usage,
    UserMessage,
)
from anima.llm._openai import ChatParser, encode
from anima.llm._sse import ServerEvent, SseParser
from anima_tools import ToolCall, ToolResult
from tests.servers import answers
from tests.servers.answers import Answer

SPEC = ModelSpec(provider="openai", model="m")
OPENAI = "api.openai.com"
TOOL = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "number"}}})


def body(spec: ModelSpec = SPEC, host: str = "localhost", **request: Any) -> dict[str, Any]:
    request.setdefault("messages", [UserMessage("hi")])
    return encode(ModelRequest(**request), spec, host)


def chunk(delta: object = None, reason: str | None = None, **more: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more}


def call(
    index: int | None = None, id: str | None = None, name: str | None = None, args: object = None
) -> dict[str, Any]:
    piece: dict[str, Any] = {"id": id, "function": {"name": name, "arguments": args}}
    if index is not None:
        piece["index"] = index
    return {"tool_calls": [piece]}


def fed(*chunks: object) -> tuple[list[ModelEvent], ChatParser]:
    parser = ChatParser("openai:m", "openai")
    events: list[ModelEvent] = []
    for found in chunks:
        data = found if isinstance(found, str) else json.dumps(found)
        events += parser.feed(ServerEvent(data))
    return events, parser


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


# What is sent


def test_a_conversation_is_sent_message_by_message() -> None:
    found = body(
        system="Be kind.",
        messages=[
            UserMessage("1 + 2?"),
            AssistantMessage(
                [Reasoning("hm"), Text("Wait."), ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "add", "")]
            ),
            ToolMessage([ToolResult("c1", "add", "3"), ToolResult("c2", "add", "no a", failed=True)]),
            AssistantMessage([Text("It is 3.")]),
        ],
    )
    assert found["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "1 + 2?"},
        {
            "role": "assistant",
            "content": "Wait.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}},
                {"id": "c2", "type": "function", "function": {"name": "add", "arguments": "{}"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "tool", "tool_call_id": "c2", "content": "ERROR: no a"},
        {"role": "assistant", "content": "It is 3."},
    ]
    assert found["model"] == "m"
    assert found["stream"] is True
    assert found["stream_options"] == {"include_usage": True}
    assert set(found) == {"model", "messages", "stream", "stream_options"}


def test_a_call_whose_arguments_are_no_object_is_sent_as_one_that_says_so() -> None:
    message = AssistantMessage([ToolCall("c", "add", '{"a": '), ToolCall("d", "add", "[1]")])
    sent = [call["function"]["arguments"] for call in body(messages=[message])["messages"][0]["tool_calls"]]
    assert [json.loads(text) for text in sent] == [{"INVALID_JSON": '{"a": '}, {"INVALID_JSON": "[1]"}]


@pytest.mark.parametrize(
    ("choice", "sent"), [(ToolChoice.AUTO, None), (ToolChoice.NONE, "none"), (ToolChoice.REQUIRED, "required")]
)
def test_tools_are_sent_with_their_choice(choice: ToolChoice, sent: str | None) -> None:
    found = body(tools=[TOOL], tool_choice=choice)
    function = {"name": "add", "description": "Adds.", "parameters": dict(TOOL.input_schema)}
    assert found["tools"] == [{"type": "function", "function": function}]
    assert found.get("tool_choice") == sent
    assert "tool_choice" not in body(tool_choice=choice)


def test_the_longest_answer_has_another_name_at_openai() -> None:
    assert body(max_tokens=7)["max_tokens"] == 7
    assert body(max_tokens=7, host=OPENAI)["max_completion_tokens"] == 7
    assert "max_tokens" not in body(max_tokens=7, host=OPENAI)


def test_the_request_goes_before_the_spec() -> None:
    spec = ModelSpec(provider="openai", model="m", max_tokens=5, temperature=0.5)
    assert (body(spec)["max_tokens"], body(spec)["temperature"]) == (5, 0.5)
    found = body(spec, max_tokens=6, temperature=0.0)
    assert (found["max_tokens"], found["temperature"]) == (6, 0.0)


@pytest.mark.parametrize(("closed", "strict"), [(False, True), (True, False)])
def test_an_output_schema_is_strict_where_it_can_be(closed: bool, strict: bool) -> None:
    schema = {"type": "object", "properties": {"x": {}}, "required": ["x"], "additionalProperties": closed}
    found = body(output=OutputSchema("my answer!", schema))["response_format"]
    assert found == {"type": "json_schema", "json_schema": {"name": "my_answer_", "schema": schema, "strict": strict}}


@pytest.mark.parametrize("host", ["api.deepseek.com", "api.moonshot.ai"])
def test_reasoning_goes_back_with_calls_to_those_who_demand_it(host: str) -> None:
    messages = [
        AssistantMessage([Reasoning("a"), Text("x")]),
        AssistantMessage([Reasoning("b"), ToolCall("c", "add", "{}")]),
        AssistantMessage([ToolCall("c", "add", "{}")]),
    ]
    sent = body(messages=messages, host=host)["messages"]
    assert [message.get("reasoning_content") for message in sent] == [None, "b", ""]
    assert not any("reasoning_content" in message for message in body(messages=messages)["messages"])
    assert not any(
        "reasoning_content" in message for message in body(messages=messages, host="notdeepseek.com")["messages"]
    )


# What comes


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


def streamed(*pieces: bytes) -> ModelAnswer | None:
    sse, parser, assembly = SseParser(), ChatParser("m", "openai"), Assembly()
    for piece in pieces:
        for event in sse.feed(piece):
            for found in parser.feed(event):
                assembly.feed(found)
    assembly.feed(parser.finish())
    return assembly.answer()


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CALLS = st.builds(
    ToolCall,
    st.just(""),
    st.from_regex(r"[a-z_]{1,8}", fullmatch=True),
    st.dictionaries(TEXTS, TEXTS | st.integers(), max_size=3).map(json.dumps),
)
SCRIPTS = st.builds(Answer, text=TEXTS, reasoning=TEXTS, calls=st.lists(CALLS, max_size=3))


@given(SCRIPTS, st.lists(st.integers(0, 5000), max_size=8))
def test_what_a_server_says_comes_out_however_it_is_cut(script: Answer, places: list[int]) -> None:
    data = b"".join(answers.chat_events(script, 1))
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    found = streamed(*(data[start:end] for start, end in pairwise(edges)))
    assert found is not None
    assert found.message.text == script.text
    assert "".join(part.text for part in found.message.parts if isinstance(part, Reasoning)) == script.reasoning
    assert [(c.name, c.arguments) for c in found.message.calls] == [(c.name, c.arguments) for c in script.calls]


@given(SCRIPTS)
def test_what_came_can_be_sent_back(script: Answer) -> None:
    found = streamed(b"".join(answers.chat_events(script, 1)))
    assert found is not None
    sent = body(messages=[found.message])["messages"]
    whole = answers.chat_whole(script, 1)["choices"][0]["message"]
    whole.pop("reasoning_content", None)
    assert sent == [whole]


@given(st.lists(st.text(max_size=30) | st.builds(json.dumps, st.dictionaries(st.text(), st.integers())), max_size=3))
def test_no_data_breaks_the_parser(found: list[str]) -> None:
    with suppress(ModelError):
        fed(*found)


@given(SCRIPTS, st.integers(0, 50), st.lists(st.integers(0, 9), max_size=6), JSON)
def test_nothing_that_a_server_says_is_more_than_an_error(
    script: Answer, place: int, path: list[int], other: Any
) -> None:
    found: list[Any] = [
        json.loads(event.partition(b"data: ")[2]) for event in answers.chat_events(attrs.evolve(script, done=False), 1)
    ]
    place %= len(found)
    found[place] = answers.mutated(found[place], path, other)
    with suppress(ModelError):
        fed(*found)[1].finish()
    whole = answers.mutated(answers.chat_whole(script, 1), path, other)
    with suppress(ModelError):
        list(ChatParser("m", "p").feed_whole(whole))
