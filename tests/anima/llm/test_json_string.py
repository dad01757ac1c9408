"""A JSON string that comes in pieces is decoded as Python's own parser decodes the whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.llm._json_string import JsonString


def decoded(pieces: list[str]) -> str:
    string = JsonString()
    return "".join([string.feed(piece) for piece in pieces])


@st.composite
def cut(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> tuple[str, list[str]]:
    text = draw(texts)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=12)))
    return text, [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]


@given(cut(st.tuples(st.text(), st.booleans()).map(lambda case: json.dumps(case[0], ensure_ascii=case[1])[1:])))
def test_any_split_gives_what_the_parser_gives(case: tuple[str, list[str]]) -> None:
    text, pieces = case
    string = JsonString()
    assert "".join([string.feed(piece) for piece in pieces]) == json.loads('"' + text)
    assert string.over


@given(cut(st.text(alphabet='ab"\\undD83cC0 \n', max_size=40)))
def test_any_split_of_anything_gives_the_same(case: tuple[str, list[str]]) -> None:
    text, pieces = case
    assert decoded(pieces) == decoded([text])


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (r"a\n\t\r\b\f\"\\\/b", 'a\n\t\r\b\f"\\/b'),
        (r"\u00e9\ud83d\ude00", "é😀"),
        (r"\ud83dx", "�x"),
        (r"\ud83d\n", "�\n"),
        (r"\ud83d\u0041", "�A"),
        (r"\ude00", "�"),
        (r"\uzzzzx", "�x"),
        (r"\x", "x"),
        ("raw\nline", "raw\nline"),
        ('over"what follows', "over"),
        ("cut\\", "cut"),
        ("cut\\ud83d", "cut"),
    ],
)
def test_escapes_mean_what_they_should(text: str, meant: str) -> None:
    assert decoded([text]) == meant
    assert decoded([*text]) == meant
