"""Tools as a schema of actions: what the server is told, and what its text means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.llm import (
    AssistantMessage,
    Finish,
    FinishReason,
    Message,
    ModelEvent,
    ModelRequest,
    OutputSchema,
    Reasoning,
    ReasoningDelta,
    ServerFailed,
    StructuredTools,
    Text,
    TextDelta,
    ToolCallDelta,
    ToolChoice,
    ToolMessage,
    ToolSpec,
    UserMessage,
)
from anima.llm._actions import ActionReader, Actions, Broken, Called, Cut, Outcome, Said
from anima.testing import End, Say, ScriptedModel, Step, Think
from anima_tools import ToolCall, ToolResult
from tests.anima.llm.flaky import events_of

NUMBER = {"type": "integer"}
ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": NUMBER, "b": NUMBER}, "required": ["a", "b"]})
CLOCK = ToolSpec("clock", "Tells the time.", {"type": "object", "properties": {}})
REQUEST = ModelRequest(messages=[UserMessage("2 + 2?")], system="Be kind.", tools=[ADD, CLOCK])
OUTPUT = OutputSchema("sum", {"type": "object", "properties": {"sum": {"$ref": "#/$defs/N"}}, "$defs": {"N": NUMBER}})


def sent(request: ModelRequest) -> ModelRequest:
    return Actions(request).request()


def schema(request: ModelRequest) -> Mapping[str, Any]:
    output = sent(request).output
    assert output is not None
    return output.schema


def names(request: ModelRequest) -> list[str]:
    found = schema(request)
    return [variant["properties"]["action"]["const"] for variant in found.get("anyOf", [found])]


async def asked(text: str | Step | list[Step], request: ModelRequest = REQUEST) -> list[ModelEvent]:
    return await events_of(StructuredTools(ScriptedModel([text])), request)


def read(text: str, request: ModelRequest = REQUEST, reason: FinishReason = FinishReason.STOP) -> tuple[str, Outcome]:
    reader = ActionReader(Actions(request))
    said = reader.feed(text)
    return said, reader.end(reason)


# What the server is told


def test_each_tool_and_the_answer_are_an_action_with_its_name_first() -> None:
    add, clock, answer = schema(REQUEST)["anyOf"]
    assert list(add["properties"]) == add["required"] == ["action", "arguments"]
    assert add["properties"]["action"] == {"const": "add"}
    assert add["properties"]["arguments"] == {**ADD.input_schema, "additionalProperties": False}
    assert clock["properties"]["action"] == {"const": "clock"}
    assert answer["properties"] == {"action": {"const": "answer"}, "text": {"type": "string"}}
    assert sent(REQUEST).tools == ()


def test_the_choice_of_tools_is_a_choice_of_actions() -> None:
    assert names(REQUEST) == ["add", "clock", "answer"]
    assert names(attrs.evolve(REQUEST, tool_choice=ToolChoice.NONE)) == ["answer"]
    assert names(attrs.evolve(REQUEST, tool_choice=ToolChoice.REQUIRED)) == ["add", "clock"]


def test_what_is_explained_does_not_depend_on_the_choice_so_that_it_can_be_cached() -> None:
    system = sent(REQUEST).system
    assert system.startswith("Be kind.\n\n")
    assert "- add: Adds. Arguments: {" in system
    assert {sent(attrs.evolve(REQUEST, tool_choice=choice)).system for choice in ToolChoice} == {system}


def test_a_tool_may_be_called_answer() -> None:
    assert names(attrs.evolve(REQUEST, tools=[ToolSpec("answer", "", {})])) == ["answer", "answer_"]


def test_without_tools_the_request_stays_as_it_is() -> None:
    request = attrs.evolve(REQUEST, tools=(), output=OUTPUT)
    assert sent(request) == request


def test_an_output_is_carried_by_the_answer_and_its_definitions_move_to_the_top() -> None:
    found = schema(attrs.evolve(REQUEST, output=OUTPUT))
    answer = found["anyOf"][-1]
    assert answer["properties"]["output"]["properties"] == {"sum": {"$ref": "#/$defs/answer.N"}}
    assert found["$defs"] == {"answer.N": NUMBER}


def test_definitions_of_several_tools_do_not_meet() -> None:
    tools = [ToolSpec(name, "", {"$ref": "#/definitions/X", "definitions": {"X": {"const": name}}}) for name in "ab"]
    found = schema(attrs.evolve(REQUEST, tools=tools))
    assert found["$defs"] == {"a.X": {"const": "a"}, "b.X": {"const": "b"}}
    assert [variant["properties"]["arguments"]["$ref"] for variant in found["anyOf"][:2]] == [
        "#/$defs/a.X",
        "#/$defs/b.X",
    ]


def test_the_history_becomes_text_in_the_same_form() -> None:
    history: list[Message] = [
        UserMessage("2 + 2?"),
        AssistantMessage([Reasoning("hm"), ToolCall("1", "add", '{"a": 2, "b": 2}'), ToolCall("2", "clock", "oops")]),
        ToolMessage([ToolResult("1", "add", "4"), ToolResult("2", "clock", "it is broken", failed=True)]),
        UserMessage("Well?"),
        AssistantMessage([Text("It is 4.")]),
    ]
    assert sent(attrs.evolve(REQUEST, messages=history)).messages == (
        UserMessage("2 + 2?"),
        AssistantMessage(
            [
                Reasoning("hm"),
                Text('{"action": "add", "arguments": {"a": 2, "b": 2}}'),
                Text('\n{"action": "clock", "arguments": "oops"}'),
            ]
        ),
        UserMessage(
            "add returned: 4\nclock failed: it is broken\n\n"
            'Now answer the question with {"action": "answer", "text": "..."}.\n\nWell?'
        ),
        AssistantMessage([Text('{"action": "answer", "text": "It is 4."}')]),
    )


# What its text means


@pytest.mark.parametrize(
    ("text", "said", "outcome"),
    [
        ('{"action": "answer", "text": "It is \\"4\\"."}', 'It is "4".', Said("")),
        (' \n{ "action" :"answer",\n"text": "4"}', "4", Said("")),
        ('```json\n{"action": "answer", "text": "4"}\n```', "4", Said("")),
        ('{"text": "4", "action": "answer"}', "", Said("4")),
        ('{"action": "answer", "output": {"a": 1}}', "", Said('{"a": 1}')),
        ('{"action": "add", "arguments": {"a": 2, "b": "é"}}', "", Called("add", '{"a": 2, "b": "é"}')),
        ('{"action": "add", "a": 2}', "", Called("add", '{"a": 2}')),
        ('{"action": "clock"}', "", Called("clock", "{}")),
        ('{"action": "add", "arguments": "{\\"a\\": 2}"}', "", Called("add", '{"a": 2}')),
        ('{"action": "unheard", "arguments": {}}', "", Called("unheard", "{}")),
        ('Let me see. {"x": 1} {"action": "clock"} Done.', "", Called("clock", "{}")),
        ("It is 4.", "", Said("It is 4.")),
        ("```python\nprint(4)\n```", "", Said("```python\nprint(4)\n```")),
        ('{"sum": 4}', "", Said('{"sum": 4}')),
        ('{"action": "add", "argu', "", Broken('{"action": "add", "argu')),
        ('{"action": "answer", "text": "It i', "It i", Said("")),
    ],
)
def test_what_is_said_has_a_meaning(text: str, said: str, outcome: Outcome) -> None:
    assert read(text) == (said, outcome)


def test_a_call_that_was_cut_off_is_none() -> None:
    assert read('{"action": "add", "argu', reason=FinishReason.LENGTH) == ("", Cut())


def test_where_no_tool_may_be_called_a_call_is_text() -> None:
    text = '{"action": "clock"}'
    assert read(text, attrs.evolve(REQUEST, tool_choice=ToolChoice.NONE)) == ("", Said(text))


def test_an_output_becomes_json_text() -> None:
    request = attrs.evolve(REQUEST, output=OUTPUT)
    assert read('{"action": "answer", "output": {"sum": 4}}', request) == ("", Said('{"sum": 4}'))


@given(st.text(max_size=20_000))
def test_no_text_at_all_breaks_the_reader(text: str) -> None:
    said, _ = read(text)
    assert said == ""


TEXTS = st.text(max_size=60)
ANSWERS = st.one_of(
    TEXTS.map(lambda text: json.dumps({"action": "answer", "text": text})),
    TEXTS.map(lambda text: json.dumps({"action": "add", "arguments": {"a": text}}, ensure_ascii=False)),
    TEXTS.map(lambda text: json.dumps({"text": text, "action": "answer"})),
    st.text(alphabet='{}"\\:,actionswerx \n', max_size=60),
    st.integers(0, 300).map(lambda n: " " * n + '{"action": "answer", "text": "x"}'),
)


@given(ANSWERS, st.lists(st.integers(0, 400), max_size=12), st.sampled_from(FinishReason))
def test_any_split_means_the_same(text: str, cuts: list[int], reason: FinishReason) -> None:
    whole = read(text, reason=reason)
    reader = ActionReader(Actions(REQUEST))
    places = sorted(min(cut, len(text)) for cut in cuts)
    said = [reader.feed(text[a:b]) for a, b in zip([0, *places], [*places, len(text)], strict=True)]
    assert ("".join(said), reader.end(reason)) == whole


# The events


async def test_the_text_of_an_answer_comes_while_it_is_said() -> None:
    events = await asked(Say('{"action": "answer", "text": "one two three"}', size=9))
    texts = [event.text for event in events if isinstance(event, TextDelta)]
    assert "".join(texts) == "one two three"
    assert len(texts) > 1
    assert isinstance(last := events[-1], Finish)
    assert last.reason is FinishReason.STOP


async def test_a_call_comes_whole_with_an_id_that_is_new() -> None:
    history: list[Message] = [
        UserMessage("?"),
        AssistantMessage([ToolCall("call_2", "clock", "{}")]),
        ToolMessage([ToolResult("call_2", "clock", "noon")]),
    ]
    events = await asked('{"action": "clock", "arguments": {}}', attrs.evolve(REQUEST, messages=history))
    assert events[0] == ToolCallDelta(0, "call_3", "clock", "{}")
    assert isinstance(last := events[1], Finish)
    assert last.reason is FinishReason.TOOL_CALLS
    assert last.usage.output_tokens > 0


async def test_reasoning_passes_through() -> None:
    events = await asked([Think("hm"), Say('{"action": "answer", "text": "4"}')])
    assert events[0] == ReasoningDelta("hm")


async def test_broken_json_is_worth_another_attempt() -> None:
    with pytest.raises(ServerFailed, match=r"broken JSON: .*oops") as caught:
        await asked('{"action": oops')
    assert caught.value.retryable


async def test_without_tools_text_is_text() -> None:
    events = await asked('{"action": "clock"}', attrs.evolve(REQUEST, tools=()))
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == '{"action": "clock"}'


async def test_an_empty_answer_stays_one() -> None:
    [last] = await asked([End(FinishReason.FILTERED)])
    assert isinstance(last, Finish)
    assert last.reason is FinishReason.FILTERED
