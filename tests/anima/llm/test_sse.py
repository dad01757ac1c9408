"""Server-sent events: the same however the bytes are cut, and never without bound."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.llm._sse import LONGEST, ServerEvent, SseParser, TooLong

LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=8)
FIELDS = st.sampled_from(["data", "event", "id", "retry", "", "other"])
LINES = st.one_of(st.just(""), TEXTS, st.builds("{}:{}".format, FIELDS, TEXTS), st.builds("data: {}".format, TEXTS))


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    lines = draw(st.lists(st.tuples(LINES, LINE_ENDS), max_size=12))
    begin = draw(st.sampled_from(["", "\ufeff"]))
    return (begin + "".join(line + end for line, end in lines)).encode()


def parsed(pieces: list[bytes], longest: int = LONGEST) -> tuple[list[ServerEvent], bool]:
    """The events, and whether something was too long."""
    parser = SseParser(longest=longest)
    events: list[ServerEvent] = []
    try:
        for piece in pieces:
            events.extend(parser.feed(piece))
    except TooLong:
        return events, True
    return events, False


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def events(text: str | bytes) -> list[ServerEvent]:
    return parsed([text if isinstance(text, bytes) else text.encode()])[0]


@given(streams(), st.lists(st.integers(0, 1000), max_size=6))
def test_any_split_of_the_bytes_gives_the_same_events(data: bytes, places: list[int]) -> None:
    assert parsed(cut(data, places)) == parsed([data])
    assert parsed([data[place : place + 1] for place in range(len(data))]) == parsed([data])


@given(streams(), st.lists(st.integers(0, 1000), max_size=6), st.integers(0, 20))
def test_what_is_too_long_is_so_at_any_split(data: bytes, places: list[int], longest: int) -> None:
    assert parsed(cut(data, places), longest) == parsed([data], longest)


@given(st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=6))
def test_any_bytes_are_taken(data: bytes, places: list[int]) -> None:
    assert parsed(cut(data, places)) == parsed([data])


@given(
    st.lists(st.tuples(st.lists(TEXTS, min_size=1), st.from_regex(r"[a-z_]*", fullmatch=True)), max_size=4), LINE_ENDS
)
def test_what_is_written_is_read(written: list[tuple[list[str], str]], end: str) -> None:
    text = "".join(
        f"event: {type}{end}" + "".join(f"data: {line}{end}" for line in lines) + end for lines, type in written
    )
    assert events(text) == [ServerEvent("\n".join(lines), type) for lines, type in written]


def test_lines_of_data_are_joined() -> None:
    assert events("data: a\ndata:b\ndata\n\n") == [ServerEvent("a\nb\n")]


def test_comments_and_unknown_fields_are_passed_over() -> None:
    assert events(": ping\n\nid: 1\nretry: 5\nfoo: bar\ndata: a\n\n") == [ServerEvent("a")]


def test_the_type_of_an_event_without_data_is_forgotten() -> None:
    assert events("event: a\n\ndata: b\n\n") == [ServerEvent("b")]


def test_an_event_that_is_not_ended_is_none() -> None:
    assert events("data: a\n") == []
    assert events("data: a\n\ndata: b\n") == [ServerEvent("a")]


def test_only_one_space_after_the_colon_is_no_data() -> None:
    assert events("data:  a\n\n") == [ServerEvent(" a")]


def test_a_byte_order_mark_counts_only_at_the_beginning() -> None:
    assert events(b"\xef\xbb\xbfdata: a\n\n") == [ServerEvent("a")]
    assert events(b"\n\xef\xbb\xbfdata: a\n\n") == []


def test_what_is_no_utf8_is_replaced() -> None:
    assert events(b"data: a\xff\n\n") == [ServerEvent("a\ufffd")]


def test_a_line_and_an_event_without_end_are_refused() -> None:
    parser = SseParser()
    with pytest.raises(TooLong, match=f"longer than {LONGEST} bytes"):
        for _ in range(40):
            assert list(parser.feed(b"x" * 32 * 1024)) == []
    parser = SseParser()
    with pytest.raises(TooLong):
        for _ in range(40):
            assert list(parser.feed(b"data: " + b"x" * 32 * 1024 + b"\n")) == []


def test_many_events_are_not_too_long() -> None:
    parser = SseParser(longest=100)
    assert len(list(parser.feed(b"data: x\n\n" * 1000))) == 1000


def test_a_long_line_in_many_pieces_is_searched_once() -> None:
    parser = SseParser()
    data = b"data: " + b"x" * 500_000 + b"\n\n"
    found = [event for place in range(0, len(data), 10) for event in parser.feed(data[place : place + 10])]
    assert found == [ServerEvent("x" * 500_000)]
