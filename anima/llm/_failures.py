"""What a server says went wrong, turned into the error that says who is to blame. Pure."""

from __future__ import annotations

import email.utils
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ._errors import (
    BadKey,
    BadRequest,
    ContextOverflow,
    ModelError,
    QuotaExceeded,
    RateLimited,
    ServerFailed,
)
from ._redaction import redacted, without

#: So much of what a server says is shown.
SHOWN = 300

_TOO_LONG = re.compile(
    r"context[ _-]?(?:length|window|size|limit)|maximum context|prompt is too long|input is too long|"
    r"too many input tokens|request_too_large",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(
    r"insufficient[ _](?:quota|balance|credits?|funds)|billing_|credit balance|"
    r"out of credits|API usage limits|spend(?:ing)? limit",
    re.IGNORECASE,
)
_KEY = frozenset({"invalid_api_key", "authentication_error", "permission_error", "permission_denied"})
_RATE = frozenset({"rate_limit_error", "rate_limit_exceeded", "too_many_requests"})
_REQUEST = frozenset({"invalid_request_error", "not_found_error", "model_not_found"})


def one_line(text: str, secrets: Iterable[str] = ()) -> str:
    """What came, for people: one line, bounded, without any of `secrets` or what looks like a key."""
    secrets = tuple(secrets)
    text = without(text, secrets)[: 16 * SHOWN]
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    text = redacted(text, secrets)  # once more: what was no character of it is gone
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def refusal(
    model: str,
    url: str,
    status: int,
    headers: Mapping[str, str],
    body: str,
    *,
    now: float,
    secrets: Iterable[str] = (),
) -> ModelError:
    """The error that a response other than 2xx stands for. `now` is the wall clock: a Retry-After may be a date."""
    said = one_line(_said(body) or body, secrets)
    says = f": {said}" if said else ""
    if 300 <= status < 400:
        where = one_line(headers.get("location", "nowhere"), secrets)
        return BadRequest(
            model,
            f"{url} redirects to {where} (status {status}). Redirects are not followed, so that the key stays where it "
            "belongs: set base_url to where the server is.",
            status=status,
        )
    return _typed(
        model,
        f"{url} answered with status {status}{says}",
        f"{_kinds(body)} {said}",
        status,
        retry_after(headers, now),
    )


def failure_in_stream(model: str, error: object, *, secrets: Iterable[str] = ()) -> ModelError:
    """The error that an error object within a stream stands for."""
    text = json.dumps({"error": error})
    said = one_line(_said(text) or text, secrets)
    kinds = _kinds(text)
    code = error.get("code") if isinstance(error, Mapping) else None
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    return _typed(model, f"the server broke off its answer: {said}", f"{kinds} {said}", status, None)


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """For how many seconds the server wants to be left alone, if it says so in a way that can be understood."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * unit
        except ValueError:
            try:
                seconds = email.utils.parsedate_to_datetime(value).timestamp() - _clock(headers, now)
            except (ValueError, OverflowError):
                continue
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _clock(headers: Mapping[str, str], now: float) -> float:
    """The server's own clock where it shows it: dates that it sets are by that."""
    try:
        return email.utils.parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, OverflowError):
        return now


def _typed(model: str, what: str, words: str, status: int | None, wait: float | None) -> ModelError:
    """By status and by what is said; in streams, which have no status of their own, by what is said alone."""
    said = frozenset(words.split())
    kind: type[ModelError]
    todo = ""
    if _NO_MONEY.search(words) or status == 402:
        kind, todo = QuotaExceeded, "Look at the account's balance and limits."
    elif status == 413 or (status in (None, 400, 422, 500) and _TOO_LONG.search(words)):
        kind, todo = ContextOverflow, "Make the conversation shorter."
    elif status in (401, 403) or (status is None and said & _KEY):
        kind, todo = BadKey, "Check the API key, and what it may do."
    elif status == 429 or (status is None and said & _RATE):
        kind = RateLimited
    elif status == 404:
        kind, todo = BadRequest, f"Check the model's name ({model.partition(':')[2] or model}) and base_url."
    elif status in (408, 409) or (status is not None and status >= 500):
        kind = ServerFailed
    elif status is not None or said & _REQUEST:
        kind = BadRequest
    else:
        kind = ServerFailed
    return kind(model, f"{what.rstrip('.')}. {todo}".rstrip(), status=status, retry_after=wait)


def _object(text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if isinstance(value, list) and value:
        value = value[0]  # some send a list of one
    return value if isinstance(value, dict) else {}


def _said(body: str) -> str:
    """The message within an error response, wherever this server puts it."""
    found = _object(body)
    for value in (found.get("error"), found.get("message"), found.get("detail")):
        if isinstance(value, Mapping):
            value = value.get("message") or json.dumps(value)
        if value:
            return value if isinstance(value, str) else json.dumps(value)
    return ""


def _kinds(body: str) -> str:
    """The words by which the server itself sorts the error."""
    found = _object(body)
    error = found.get("error")
    inner = error if isinstance(error, Mapping) else found
    return " ".join(str(inner[key]) for key in ("type", "code", "status") if inner.get(key))
