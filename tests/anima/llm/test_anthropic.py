"""The messages API without a network: what is sent, and what the events of a stream mean."""

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
    Message,
    ModelAnswer,
    ModelError,
    ModelEvent,
    ModelRequest,
    ModelSpec,
    OutputSchema,
    Reasoning,
    ReasoningDelta,
    ServerFailed,
    Text,
    TextDelta,
    ToolCallDelta,
    ToolChoice,
    ToolMessage,
    ToolSpec,
    Usage,
    UserMessage,
    mended,
)
from anima.llm._anthropic import MessageParser, encode
from anima.llm._sse import ServerEvent, SseParser
from anima_tools import ToolCall, ToolResult
from tests.servers import answers
from tests.servers.answers import Answer

SPEC = ModelSpec(provider="anthropic", model="m")
TOOLS = [ToolSpec("add", "Adds.", {"type": "object"}), ToolSpec("sub", "Subtracts.", {"type": "object"})]
CACHED = {"cache_control": {"type": "ephemeral"}}


def body(spec: ModelSpec = SPEC, **request: Any) -> dict[str, Any]:
    request.setdefault("messages", [UserMessage("hi")])
    return encode(ModelRequest(**request), spec)


def turns(*messages: Message) -> list[tuple[str, list[dict[str, Any]]]]:
    """The turns that are sent, without the marks for the cache."""
    found = body(messages=messages)["messages"]
    return [
        (turn["role"], [{k: v for k, v in block.items() if k != "cache_control"} for block in turn["content"]])
        for turn in found
    ]


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def fed(*found: object) -> tuple[list[ModelEvent], MessageParser]:
    parser = MessageParser("anthropic:m", "anthropic")
    events: list[ModelEvent] = []
    for event in found:
        events += parser.feed(ServerEvent(event if isinstance(event, str) else json.dumps(event)))
    return events, parser


def start(index: int, kind: str, **more: object) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": {"type": kind, **more}}


def delta(index: int, kind: str, **more: object) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **more}}


def stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def end(reason: str | None = "end_turn", **usage: int) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


# What is sent


def test_a_conversation_is_sent_in_turns() -> None:
    assert turns(
        UserMessage("1 + 2?"),
        AssistantMessage(
            [Reasoning("hm", "sig"), Text("Wait."), ToolCall("c1", "add", '{"a": 1}'), ToolCall("c2", "add", "")]
        ),
        ToolMessage([ToolResult("c1", "add", "3"), ToolResult("c2", "add", "no a", failed=True)]),
        UserMessage("Quick!"),
        AssistantMessage([Text("It is 3.")]),
        UserMessage("Thanks."),
    ) == [
        ("user", [text("1 + 2?")]),
        (
            "assistant",
            [
                {"type": "thinking", "thinking": "hm", "signature": "sig"},
                text("Wait."),
                {"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 1}},
                {"type": "tool_use", "id": "c2", "name": "add", "input": {}},
            ],
        ),
        (
            "user",
            [
                {"type": "tool_result", "tool_use_id": "c1", "content": "3"},
                {"type": "tool_result", "tool_use_id": "c2", "content": "no a", "is_error": True},
                text("Quick!"),
            ],
        ),
        ("assistant", [text("It is 3.")]),
        ("user", [text("Thanks.")]),
    ]


def test_the_request_has_what_the_format_demands() -> None:
    found = body()
    assert found["model"] == "m"
    assert found["max_tokens"] == 4096
    assert found["stream"] is True
    assert set(found) == {"model", "max_tokens", "messages", "stream"}


def test_the_request_goes_before_the_spec() -> None:
    spec = ModelSpec(provider="anthropic", model="m", max_tokens=5, temperature=0.5)
    assert (body(spec)["max_tokens"], body(spec)["temperature"]) == (5, 0.5)
    found = body(spec, max_tokens=6, temperature=0.0)
    assert (found["max_tokens"], found["temperature"]) == (6, 0.0)


def test_tools_system_and_the_end_of_the_conversation_are_marked_for_the_cache() -> None:
    found = body(
        system="Be kind.", tools=TOOLS, messages=[UserMessage("a"), AssistantMessage([Text("b")]), UserMessage("c")]
    )
    assert found["system"] == [text("Be kind.") | CACHED]
    assert [tool.get("cache_control") for tool in found["tools"]] == [None, CACHED["cache_control"]]
    assert [block.get("cache_control") for turn in found["messages"] for block in turn["content"]] == [
        None,
        None,
        CACHED["cache_control"],
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [(ToolChoice.AUTO, None), (ToolChoice.NONE, {"type": "none"}), (ToolChoice.REQUIRED, {"type": "any"})],
)
def test_tools_are_sent_with_their_choice(choice: ToolChoice, sent: object) -> None:
    found = body(tools=TOOLS[:1], tool_choice=choice)
    assert found["tools"] == [{"name": "add", "description": "Adds.", "input_schema": {"type": "object"}} | CACHED]
    assert found.get("tool_choice") == sent
    assert "tool_choice" not in body(tool_choice=choice)


def test_an_output_schema_is_enforced_closed() -> None:
    found = body(output=OutputSchema("x", {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}}))
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
    assert found["output_config"] == {"format": {"type": "json_schema", "schema": schema}}
    assert "system" not in found


def test_an_output_schema_that_cannot_be_enforced_is_told() -> None:
    schema = {"type": "object", "additionalProperties": {"type": "integer"}}
    found = body(system="Be kind.", output=OutputSchema("x", schema))
    assert "output_config" not in found
    assert found["system"][0]["text"].startswith("Be kind.\n\n")
    assert found["system"][0]["text"].endswith(json.dumps(schema))


def test_hidden_thinking_goes_back_as_what_it_was() -> None:
    blocks = [
        {"type": "thinking", "thinking": "", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
        {"type": "thinking", "thinking": "hm", "signature": "sig2"},
        text("a"),
    ]
    found = whole(blocks)
    assert found.message.parts[0] == Reasoning("", "sig")
    assert turns(UserMessage("x"), found.message)[1] == ("assistant", blocks)


def test_thinking_without_a_signature_does_not_go_back() -> None:
    assert turns(UserMessage("x"), AssistantMessage([Reasoning("hm"), Text("a")]))[1] == ("assistant", [text("a")])


def test_nothing_empty_is_sent() -> None:
    assert turns(
        UserMessage("  "),
        AssistantMessage([Text("\n"), ToolCall("c", "add", "{}")]),
        ToolMessage([ToolResult("c", "add", "", failed=True)]),
        AssistantMessage([Text(" ")]),
        UserMessage("x"),
    ) == [
        ("user", [text("(empty)")]),
        ("assistant", [{"type": "tool_use", "id": "c", "name": "add", "input": {}}]),
        (
            "user",
            [
                {
                    "type": "tool_result",
                    "tool_use_id": "c",
                    "content": "It failed and did not say why.",
                    "is_error": True,
                },
                text("x"),
            ],
        ),
    ]


def test_a_conversation_begins_with_the_user() -> None:
    assert [role for role, _ in turns(AssistantMessage([Text("a")]), UserMessage("b"))] == ["user", "assistant", "user"]


def test_ids_of_other_servers_are_made_fit_and_different() -> None:
    asked = AssistantMessage([ToolCall("call_0", "add", "{}"), ToolCall("functions.add:1", "add", "{}")])
    got = ToolMessage([ToolResult("call_0", "add", "a"), ToolResult("functions.add:1", "add", "b")])
    found = turns(UserMessage("x"), asked, got, asked, got)
    called = [[block["id"] for block in blocks] for role, blocks in found if role == "assistant"]
    answered = [[block["tool_use_id"] for block in blocks] for role, blocks in found[1:] if role == "user"]
    assert called == answered == [["call_0", "functions_add_1"], ["call_0_2", "functions_add_1_2"]]


def test_a_call_whose_arguments_are_no_object_is_sent_as_one_that_says_so() -> None:
    found = turns(UserMessage("x"), AssistantMessage([ToolCall("c", "add", '{"a": ')]))
    assert found[1][1][0]["input"] == {"INVALID_JSON": '{"a": '}


IDS = st.sampled_from(["a", "b", "a:1", "", "a_2"])
PARTS = st.one_of(
    st.builds(Text, st.text(max_size=3)),
    st.builds(Reasoning, st.text(max_size=3), st.none() | st.sampled_from(["s", "hidden:x"])),
    st.builds(ToolCall, IDS, st.just("add"), st.sampled_from(["{}", "", "{", '{"a": 1}'])),
)
MESSAGES = st.lists(
    st.one_of(
        st.builds(UserMessage, st.text(max_size=3)),
        st.builds(AssistantMessage, st.lists(PARTS, max_size=3)),
        st.builds(ToolMessage, st.lists(st.builds(ToolResult, IDS, st.just("add"), st.text(max_size=2)), max_size=3)),
    ),
    max_size=6,
).map(mended)


@given(MESSAGES)
def test_any_mended_conversation_is_one_that_the_format_allows(messages: tuple[Message, ...]) -> None:
    found = turns(*messages)
    assert all(role == ("user", "assistant")[place % 2] for place, (role, _) in enumerate(found))
    ids: list[str] = []
    for place, (_, blocks) in enumerate(found):
        assert blocks
        assert all(block["text"].strip() for block in blocks if block["type"] == "text")
        called = [block["id"] for block in blocks if block["type"] == "tool_use"]
        if called:
            following = found[place + 1][1]
            assert [block["tool_use_id"] for block in following if block["type"] == "tool_result"] == called
            assert [block["type"] for block in following[: len(called)]] == ["tool_result"] * len(called)
        ids += called
    assert len(ids) == len(set(ids))


# What comes


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


def whole(blocks: list[dict[str, Any]], found: dict[str, Any] | None = None) -> ModelAnswer:
    parser, assembly = MessageParser("m", "anthropic"), Assembly()
    for event in [*parser.feed_whole(found or {"content": blocks}), parser.finish()]:
        assembly.feed(event)
    done = assembly.answer()
    assert done is not None
    return done


def streamed(*pieces: bytes) -> ModelAnswer:
    sse, parser, assembly = SseParser(), MessageParser("m", "anthropic"), Assembly()
    for piece in pieces:
        for event in sse.feed(piece):
            for found in parser.feed(event):
                assembly.feed(found)
    assembly.feed(parser.finish())
    done = assembly.answer()
    assert done is not None
    return done


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
SCRIPTS = st.builds(
    Answer,
    text=TEXTS,
    reasoning=TEXTS,
    signature=st.text("abc", min_size=1),
    hidden=st.none() | st.text("abc", min_size=1),
    calls=st.lists(CALLS, max_size=3),
)


@given(SCRIPTS, st.lists(st.integers(0, 5000), max_size=8))
def test_what_a_server_says_comes_out_however_it_is_cut(script: Answer, places: list[int]) -> None:
    data = b"".join(answers.message_events(script, 1))
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    found = streamed(*(data[begin:end] for begin, end in pairwise(edges)))
    assert found == streamed(data)
    assert found.message.text == script.text
    assert found.message.parts[0] == Reasoning(script.reasoning, script.signature)
    assert [(c.name, json.loads(c.arguments)) for c in found.message.calls] == [
        (c.name, json.loads(c.arguments)) for c in script.calls
    ]


@given(SCRIPTS.filter(lambda script: not script.text or script.text.strip()))
def test_what_came_can_be_sent_back(script: Answer) -> None:
    found = streamed(b"".join(answers.message_events(script, 1)))
    assert turns(UserMessage("x"), found.message)[1] == ("assistant", answers.message_whole(script, 1)["content"])


@given(st.lists(st.text(max_size=30) | st.builds(json.dumps, st.dictionaries(st.text(), st.integers())), max_size=3))
def test_no_data_breaks_the_parser(found: list[str]) -> None:
    with suppress(ModelError):
        fed(*found)


@given(SCRIPTS, st.integers(0, 50), st.lists(st.integers(0, 9), max_size=6), JSON)
def test_nothing_that_a_server_says_is_more_than_an_error(
    script: Answer, place: int, path: list[int], other: Any
) -> None:
    found: list[Any] = [
        json.loads(event.partition(b"data: ")[2])
        for event in answers.message_events(attrs.evolve(script, done=False), 1)
    ]
    place %= len(found)
    found[place] = answers.mutated(found[place], path, other)
    with suppress(ModelError):
        fed(*found)[1].finish()
    whole = answers.mutated(answers.message_whole(script, 1), path, other)
    with suppress(ModelError):
        list(MessageParser("m", "p").feed_whole(whole))
