"""The index of patterns finds what a look at every pattern would."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anima.hub._patterns import PatternIndex

words = st.sampled_from(["a", "b", "c"])
topics = st.lists(words, min_size=1, max_size=4).map(tuple)
patterns = (
    st.tuples(st.lists(words | st.just("*"), max_size=4), st.sampled_from([(), ("**",)]))
    .map(lambda parts: (*parts[0], *parts[1]))
    .filter(bool)
)


def matches(pattern: tuple[str, ...], topic: tuple[str, ...]) -> bool:
    if pattern[-1] == "**":
        fixed = pattern[:-1]
        return len(topic) > len(fixed) and all(map(same, fixed, topic))
    return len(pattern) == len(topic) and all(map(same, pattern, topic))


def same(word: str, other: str) -> bool:
    return word in ("*", other)


@given(st.lists(patterns, max_size=12), st.data())
def test_the_index_finds_exactly_the_patterns_that_match(all: list[tuple[str, ...]], data: st.DataObject) -> None:
    index: PatternIndex[int] = PatternIndex()
    for number, pattern in enumerate(all):
        index.add(pattern, number)
    removed = data.draw(st.sets(st.integers(0, max(0, len(all) - 1)), max_size=len(all))) if all else set[int]()
    for number in removed:
        index.remove(all[number], number)
    left = {number: pattern for number, pattern in enumerate(all) if number not in removed}
    assert len(index) == len(left)
    topic = data.draw(topics)
    assert sorted(index.matching(topic)) == [number for number, pattern in left.items() if matches(pattern, topic)]


@given(st.lists(patterns))
def test_an_emptied_index_keeps_nothing(all: list[tuple[str, ...]]) -> None:
    index: PatternIndex[int] = PatternIndex()
    for number, pattern in enumerate(all):
        index.add(pattern, number)
    for number, pattern in enumerate(all):
        index.remove(pattern, number)
    assert not index._root.on
