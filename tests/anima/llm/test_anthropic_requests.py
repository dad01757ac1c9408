"""The messages API without a network: what is sent."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.llm import (
    AssistantMessage,
    Message,
    ModelSpec,
    OutputSchema,
    Reasoning,
    Text,
    ToolChoice,
    ToolMessage,
    ToolSpec,
    UserMessage,
    mended,
)
from anima_tools import ToolCall, ToolResult
from tests.anima.llm.messages_api import body, text, turns, whole

TOOLS = [ToolSpec("add", "Adds.", {"type": "object"}), ToolSpec("sub", "Subtracts.", {"type": "object"})]
CACHED = {"cache_control": {"type": "ephemeral"}}


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
