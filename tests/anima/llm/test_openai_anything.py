"""Chat completions without a network: whatever a server says, however it is cut, is an answer or an error."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import pairwise
from typing import Any

import attrs
from hypothesis import given
from hypothesis import strategies as st

from anima.llm import ModelError, Reasoning
from anima.llm._openai import ChatParser
from tests.anima.llm.anything import CALLS, JSON, TEXTS
from tests.anima.llm.chat_completions import body, fed, streamed
from tests.servers import answers
from tests.servers.answers import Answer

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
