"""What looks like a secret, or is one, is taken out, and nothing else is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.llm import HIDDEN, redacted

LIKE_KEYS = {
    "a model's": "sk-proj-abc123DEF456",
    "a header's": "Bearer abcdefghijklmnop",
    "a code host's": "ghp_" + "a1B2" * 9,
    "a fine-grained one": "github_pat_" + "a1B2" * 9,
    "another host's": "glpat-" + "a1B2" * 5,
    "a chat's": "xoxb-123456789012-abcdef",
    "a cloud's": "AKIA" + "ABCD1234" * 2,
    "another cloud's": "AIza" + "a1B2_" * 7,
    "a token": "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----\nabc\ndef\n-----END RSA PRIVATE KEY-----",
    "one that was cut off": "-----BEGIN PRIVATE KEY-----\nabc\ndef",
}


@pytest.mark.parametrize("name", LIKE_KEYS)
def test_what_looks_like_a_key_is_taken_out(name: str) -> None:
    assert redacted(f"It is {LIKE_KEYS[name]}") == f"It is {HIDDEN}"


@pytest.mark.parametrize("text", ["a risk-averse person", "the bearer of news", "sk-1", "eyJ is no token", "AKIA"])
def test_other_text_stays(text: str) -> None:
    assert redacted(text) == text


@given(st.text(max_size=100), st.text("abcXYZ019-_", min_size=6, max_size=20), st.text(max_size=100))
def test_a_secret_that_is_known_is_in_nothing(before: str, secret: str, after: str) -> None:
    assert secret not in redacted(before + secret + after, [secret])


def test_of_secrets_that_begin_with_each_other_nothing_is_left() -> None:
    assert redacted("use key-prod-9f8e7d", ["key-prod", "key-prod-9f8e7d", "key"]) == f"use {HIDDEN}"


def test_a_long_text_that_only_begins_like_a_token_takes_no_time() -> None:
    """It is done while everything else waits; with a search that is quadratic this would take minutes."""
    text = "eyJ-aaaaaaaa-" * 100_000
    assert redacted(text) == text
