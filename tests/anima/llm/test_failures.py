"""What servers say went wrong, and who is to blame for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anima.llm import (
    BadKey,
    BadRequest,
    ContextOverflow,
    ModelError,
    QuotaExceeded,
    RateLimited,
    ServerFailed,
)
from anima.llm._failures import SHOWN, failure_in_stream, one_line, refusal, retry_after

URL = "http://host/v1/chat/completions"
NOW = 1_764_000_000.0


def refused(status: int, body: Any = "", headers: dict[str, str] | None = None) -> ModelError:
    text = body if isinstance(body, str) else json.dumps(body)
    return refusal("openai:m", URL, status, headers or {}, text, now=NOW)


def error(message: str, **more: object) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, error("bad field", type="invalid_request_error"), BadRequest),
        (422, {"detail": [{"loc": ["body"], "msg": "field required"}]}, BadRequest),
        (400, error("maximum context length is 8192 tokens", code="context_length_exceeded"), ContextOverflow),
        (400, error("prompt is too long: 210000 tokens > 200000 maximum"), ContextOverflow),
        (
            400,
            error("the request exceeds the available context size", type="exceed_context_size_error"),
            ContextOverflow,
        ),
        (413, "", ContextOverflow),
        (401, error("Incorrect API key"), BadKey),
        (403, error("not allowed", type="permission_error"), BadKey),
        (402, "", QuotaExceeded),
        (429, error("You exceeded your current quota", code="insufficient_quota"), QuotaExceeded),
        (400, error("Your credit balance is too low to access the Anthropic API"), QuotaExceeded),
        (400, error("You have reached your specified API usage limits."), QuotaExceeded),
        (429, error("Rate limit reached", type="rate_limit_error"), RateLimited),
        (429, error("You exceeded your current quota, retry in 34 s"), RateLimited),
        (404, error("model not found"), BadRequest),
        (405, "", BadRequest),
        (408, "", ServerFailed),
        (409, "", ServerFailed),
        (500, error("oops"), ServerFailed),
        (503, "<html>down</html>", ServerFailed),
        (529, error("Overloaded", type="overloaded_error"), ServerFailed),
    ],
)
def test_a_status_says_who_is_to_blame(status: int, body: Any, kind: type[ModelError]) -> None:
    found = refused(status, body)
    assert type(found) is kind
    assert found.status == status
    assert found.model == "openai:m"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, ServerFailed),
        ({"type": "api_error", "message": "Internal"}, ServerFailed),
        ({"type": "rate_limit_error", "message": "slow down"}, RateLimited),
        ({"type": "authentication_error", "message": "who?"}, BadKey),
        ({"type": "invalid_request_error", "message": "prompt is too long"}, ContextOverflow),
        ({"type": "invalid_request_error", "message": "no"}, BadRequest),
        ({"code": 429, "message": "slow down"}, RateLimited),
        ({"code": 502, "message": "upstream"}, ServerFailed),
        ({"code": "insufficient_quota", "message": "pay"}, QuotaExceeded),
        ("just text", ServerFailed),
        (None, ServerFailed),
        (17, ServerFailed),
    ],
)
def test_an_error_within_a_stream_says_who_is_to_blame(said: object, kind: type[ModelError]) -> None:
    assert type(failure_in_stream("m", said)) is kind


@pytest.mark.parametrize(
    "body",
    [
        error("no such thing"),
        {"error": "no such thing"},
        {"message": "no such thing"},
        {"detail": "no such thing"},
        [error("no such thing")],
        "no such\r\n  thing",
    ],
)
def test_the_servers_own_words_are_shown_wherever_it_puts_them(body: Any) -> None:
    assert "status 400: no such thing" in str(refused(400, body))


def test_a_404_names_the_model_and_the_url() -> None:
    text = str(refused(404, error("nope")))
    assert URL in text
    assert "(m)" in text


def test_a_redirect_is_not_followed_and_says_where_it_pointed() -> None:
    found = refused(307, "", {"location": "https://elsewhere/v1"})
    assert type(found) is BadRequest
    assert "https://elsewhere/v1" in str(found)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Mon, 24 Nov 2025 16:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 24 Nov 2025 15:00:30 GMT"}, 0.0),
        ({"retry-after": "Mon, 24 Nov 2025 16:00:30 GMT", "date": "Mon, 24 Nov 2025 16:00:20 GMT"}, 10.0),
        ({"retry-after": "Mon, 24 Nov 2025 16:00:30 GMT", "date": "today"}, 30.0),
    ],
)
def test_retry_after_is_seconds_or_milliseconds_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
    assert refused(429, "", headers).retry_after == seconds


@given(st.text(), st.integers(100, 599), st.text())
def test_any_answer_makes_one_bounded_line(body: str, status: int, header: str) -> None:
    found = refused(status, body, {"retry-after": header, "location": header, "date": header})
    text = str(found)
    assert len(text) < SHOWN + 400
    assert text.isprintable()


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["error", "message", "type", "code", "status", "detail"]), inner, max_size=4)
    ),
)


@given(JSON)
def test_any_json_is_an_error_of_some_kind(said: Any) -> None:
    assert isinstance(failure_in_stream("m", said), ModelError)
    assert isinstance(refused(400, json.dumps(said)), ModelError)


KEYS = st.text("abcXYZ019-_", min_size=6, max_size=20)


@given(st.text(max_size=400), KEYS, st.text(max_size=400))
def test_a_secret_is_never_shown(before: str, secret: str, after: str) -> None:
    assert secret not in one_line(before + secret + after, [secret])
    assert secret not in str(refusal("m", URL, 400, {}, before + secret + after, now=NOW, secrets=[secret]))
    said = {"error": {"message": before + secret, "type": secret}}
    assert secret not in str(refusal("m", URL, 400, {}, json.dumps(said), now=NOW, secrets=[secret]))
    assert secret not in str(failure_in_stream("m", said["error"], secrets=[secret]))


def test_what_looks_like_a_key_is_not_shown_even_if_it_is_not_ours() -> None:
    shown = one_line("Incorrect API key provided: sk-proj-abc***wxyz, see Bearer abcdefghijklmnop.")
    assert "wxyz" not in shown
    assert "abcdefghi" not in shown
    assert "Incorrect API key provided" in shown
