"""Records as texts, and back; and what cannot be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.agents import (
    Compacted,
    ModelAnswered,
    ModelCalled,
    ModelFailed,
    Record,
    StopReason,
    Told,
    ToolAnswered,
    ToolCalled,
    TurnBegan,
    TurnEnded,
    UnreadableRecord,
    Why,
)
from anima.agents._codec import Codec
from anima.llm import AssistantMessage, Finish, FinishReason, Reasoning, Text, Usage
from anima_tools import Effect, ToolCall, ToolResult

CODEC = Codec()

# With half surrogate pairs, zeros and all else that models send.
texts = st.text(st.characters(), max_size=20)
steps = st.integers(0, 1 << 40)
numbers = st.floats(0, 1e12)
costs = st.none() | numbers
counts = st.integers(0, 1 << 40)
usages = st.builds(Usage, counts, counts, counts, counts, counts)
finishes = st.builds(Finish, st.sampled_from(FinishReason), usages, texts, texts)
parts = st.one_of(
    st.builds(Text, texts),
    st.builds(Reasoning, texts, st.none() | texts),
    st.builds(ToolCall, texts, texts, texts),
)
results = st.builds(ToolResult, texts, texts, texts, st.booleans(), st.none() | texts)
told = st.builds(Told, st.sampled_from(Why), texts, texts, texts)

KINDS: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    TurnBegan: {"task": texts, "conversation": texts, "agent": texts, "sender": texts},
    ModelCalled: {"step": steps, "told": st.lists(told, max_size=3).map(tuple)},
    ModelAnswered: {
        "step": steps,
        "message": st.builds(AssistantMessage, st.lists(parts, max_size=4).map(tuple)),
        "finish": finishes,
        "cost": costs,
    },
    ModelFailed: {"step": steps, "error": texts, "text": texts, "partial": texts},
    ToolCalled: {"step": steps, "tool": texts, "key": texts, "effect": st.sampled_from(Effect)},
    ToolAnswered: {"step": steps, "result": results},
    Compacted: {
        "step": steps,
        "messages": counts,
        "summary": texts,
        "clipped": st.booleans(),
        "finish": st.none() | finishes,
        "cost": costs,
    },
    TurnEnded: {"stop_reason": st.sampled_from(StopReason), "text": texts, "error": st.none() | texts},
}
records = st.one_of([st.builds(kind, seconds=numbers, **fields) for kind, fields in KINDS.items()])


@given(records)
def test_every_record_comes_back_as_it_was(record: Record) -> None:
    text = CODEC.encode(record)
    assert CODEC.decode(text, "t1") == record
    assert "\n" not in text
    text.encode()  # a database takes it


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: str(kind.__name__))
def test_every_kind_of_record_is_among_those_that_are_tested(kind: type[Any]) -> None:
    assert kind in Record.__args__
    assert len(KINDS) == len(Record.__args__)


@given(record=records, data=st.data())
def test_a_record_with_an_unknown_key_is_not_read(record: Record, data: st.DataObject) -> None:
    found = json.loads(CODEC.encode(record))
    found[data.draw(st.sampled_from(["newer", "stepp", ""]))] = 1
    with pytest.raises(UnreadableRecord, match="cannot be read"):
        CODEC.decode(json.dumps(found), "t1")


@given(record=records, end=st.integers(0, 200))
def test_a_record_that_was_cut_is_not_read(record: Record, end: int) -> None:
    text = CODEC.encode(record)
    with pytest.raises(UnreadableRecord):
        CODEC.decode(text[: min(end, len(text) - 1)], "t1")


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "7", '{"record":"Nothing"}', '{"record":"ToolCalled"}', '{"record":7}'],
)
def test_what_is_no_record_is_told_with_its_beginning(text: str) -> None:
    with pytest.raises(UnreadableRecord) as caught:
        CODEC.decode(text, "t1")
    assert repr(text[:200]) in str(caught.value)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | texts, lambda a: st.lists(a) | st.dictionaries(texts, a))
)
def test_whatever_stands_there_it_is_a_record_or_unreadable(found: Any) -> None:
    with pytest.raises(UnreadableRecord):
        CODEC.decode(json.dumps(found), "t1")
