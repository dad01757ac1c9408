"""The messages API without a network: whatever a server says, however it is cut, is an answer or an error."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from anima.llm import ModelError, Reasoning, UserMessage
from anima.llm._anthropic import MessageParser
from tests.anima.llm.anything import CALLS, JSON, TEXTS
from tests.anima.llm.messages_api import fed, streamed, turns
from tests.servers import answers
from tests.servers.answers import Answer

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
