"""Secrets are taken out of what people see and of what is kept for long: known ones, and what looks like one."""

from __future__ import annotations

import re
from collections.abc import Iterable

#: What stands in the place of a secret.
HIDDEN = "***"
#: What is shorter is no secret, but a word that may stand anywhere.
SHORTEST = 6

#: The forms of keys that can be told from other text: of models, code hosts, clouds, chats; tokens; private keys.
_LIKE_A_KEY = re.compile(
    r"\b(?:sk-[\w*.-]{6,}|Bearer [\w*.-]{16,}"
    r"|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}"
    r"|AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|(?<![\w-])eyJ[\w-]{8,9000}\.eyJ[\w-]{8,90000}\.[\w-]+)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
)


def without(text: str, secrets: Iterable[str]) -> str:
    """The text without any of `secrets`; the longest first, since one may begin another."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def redacted(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without any of `secrets`, and without what looks like a key."""
    return _LIKE_A_KEY.sub(HIDDEN, without(text, secrets))
