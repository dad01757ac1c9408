"""Chat completions without a network: what is sent."""

from __future__ import annotations

import json

import pytest

from anima.llm import (
    AssistantMessage,
    ModelSpec,
    OutputSchema,
    Reasoning,
    Text,
    ToolChoice,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from anima_tools import ToolCall, ToolResult
from tests.anima.llm.chat_completions import body

OPENAI = "api.openai.com"
TOOL = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "number"}}})


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
