"""Memories in a prompt: within the budget, dated, and unable to leave their quotes."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from anima.memory import Memory, Recalled, Source, Trust, estimate_tokens
from anima.memory._injection import HEAD, inject

START = datetime(2026, 5, 1, 9, 30, tzinfo=UTC)


def memory(
    text: str,
    days: int = 0,
    source: Source = Source.USER,
    trust: Trust = Trust.TRUSTED,
    speaker: str = "",
    key: str | None = None,
) -> Recalled:
    at = START + timedelta(days=days)
    return Recalled(Memory(days, "ada", "agent", key, text, source, trust, "", "", speaker, at, 1, True, 1, at), 1.0)


def test_each_is_dated_and_says_who_said_it() -> None:
    found = [
        memory("it rains", 2, Source.TOOL, Trust.UNTRUSTED),
        memory("I like tea", 0),
        memory("he likes tea", 1, Source.MODEL, key="drink"),
        memory("bye", 3, speaker="Ann"),
    ]
    assert inject(found, 500, estimate_tokens).splitlines() == [
        HEAD,
        '- 2026-05-01 09:30 UTC, from the user: "I like tea"',
        '- 2026-05-02 09:30 UTC, from you: "drink": "he likes tea"',
        '- 2026-05-03 09:30 UTC, from a tool, unverified: "it rains"',
        '- 2026-05-04 09:30 UTC, from "Ann": "bye"',
    ]


def test_the_same_text_comes_once() -> None:
    text = inject([memory("I like Tea"), memory(" i like  tea", 1), memory("I like coffee", 2)], 500, estimate_tokens)
    assert len(text.splitlines()) == 3


def test_nothing_found_is_nothing_said() -> None:
    assert inject([], 500, estimate_tokens) == ""
    assert inject([memory("x")], 5, estimate_tokens) == ""


def test_the_best_one_is_shortened_when_it_is_too_long() -> None:
    text = inject([memory("word " * 1000)], 150, estimate_tokens)
    assert text.endswith('…"')
    assert estimate_tokens(text) <= 150


@given(st.lists(st.text(min_size=1, max_size=200), max_size=8), st.text(max_size=9), st.integers(0, 400))
def test_it_fits_and_each_memory_is_one_line_of_quoted_text(texts: list[str], name: str, budget: int) -> None:
    given = [memory(text, n, speaker=name, key=name or None) for n, text in enumerate(texts)]
    text = inject(given, budget, estimate_tokens)
    assert text == "" or estimate_tokens(text) <= budget
    lines = text.splitlines()  # at everything that Python takes for the end of a line
    assert all("<" not in line and ">" not in line for line in lines)
    for line in lines[1:]:
        quoted = re.search(r'from (?:the user|"(?:[^"\\]|\\.)*"): (?:"(?:[^"\\]|\\.)*": )?("(?:[^"\\]|\\.)*")$', line)
        assert quoted is not None
        said = json.loads(quoted[1])
        assert any(said in (one, "") or said.removesuffix("…") == one[: len(said) - 1] for one in texts)
