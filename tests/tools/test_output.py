"""Shortening: never longer than allowed, never in the middle of a character, for any text."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from anima_tools._output import LONGEST_CHARACTER, as_text, cut, mended, shortened

PIECES = st.sampled_from(["a", "é", "e\u0301", "漢", "😀", "👍🏽", "👩‍👩‍👧", "🇩🇪", "\r\n", "\n", "ก็", "\u0301", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"])
TEXTS = st.lists(PIECES, max_size=400).map("".join) | st.text(max_size=1500)
NOTE = "the whole text is somewhere"


def left_out(short: str) -> tuple[str, int, str]:
    head, _, rest = short.partition("\n[... ")
    number, _, tail = rest.partition(f" characters are left out here; {NOTE} ...]\n")
    return head, int(number), tail


@given(TEXTS, st.integers(256, 600))
def test_a_shortened_text_is_head_and_tail_and_says_how_much_is_missing(text: str, cap: int) -> None:
    short = shortened(text, cap, NOTE)
    assert len(short) <= cap
    if len(text) <= cap:
        assert short == text
        return
    if "[..." not in text:
        head, number, tail = left_out(short)
        assert text.startswith(head)
        assert text.endswith(tail)
        assert len(head) + number + len(tail) == len(text)
        assert len(head) + len(tail) >= cap - 120 - 2 * LONGEST_CHARACTER


@given(st.lists(PIECES.filter(lambda piece: piece not in "\u0301\r\n"), min_size=1, max_size=60), st.data())
def test_a_cut_never_parts_what_is_seen_as_one_character(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    at = data.draw(st.integers(0, len(text)))
    for step in (-1, +1):
        place = cut(text, at, step)
        assert (place <= at) if step < 0 else (place >= at)
        before, after = text[:place], text[place:]
        assert not after or not unicodedata.category(after[0]).startswith("M")
        assert not before.endswith("\u200d")
        assert not after.startswith(("\u200d", "🏽"))


@given(st.text(st.characters(codec=None), max_size=50), st.text(max_size=50))
def test_mended_text_can_be_encoded_and_sound_text_is_unchanged(text: str, sound: str) -> None:
    broken = f"{text}\ud83d{text}\udc00 \ud83d\ude00"
    mended(broken).encode()
    assert mended(broken).endswith(" 😀")
    assert mended(sound.encode("utf-8", "ignore").decode()) == sound.encode("utf-8", "ignore").decode()


VALUES = st.none() | st.integers() | st.text() | st.binary()


@given(st.recursive(VALUES, lambda inner: st.lists(inner) | st.tuples(inner)))
def test_whatever_a_tool_returns_becomes_text(value: object) -> None:
    assert isinstance(as_text(value), str)
    assert isinstance(as_text(object()), str)
