"""One request to a server, before it is sent: frozen data, and what can be refused without asking anybody."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import attrs

from anima_supervisors import BadSpec

from ._errors import BadKey, BadRequest
from ._redaction import SHORTEST
from ._spec import ModelSpec, Secret, Timeouts


@attrs.frozen
class Endpoint:
    """Where requests go. `url` may hold `secrets`, a password or a query; `shown` is for people."""

    url: str = attrs.field(repr=False)
    shown: str
    host: str
    secrets: tuple[str, ...] = attrs.field(repr=False)


def endpoint(spec: ModelSpec, default: str | None, path: str) -> Endpoint:
    """`path` below the spec's base_url, or the default one. A query of the base_url stays. Raises `BadSpec`."""
    base = default if spec.base_url is None else spec.base_url
    if base is None:
        raise BadSpec(f"{spec.name}: base_url is missing, and the provider {spec.provider!r} has no default")
    try:
        parts = urlsplit(base.strip())
        host, _ = parts.hostname, parts.port
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host or " " in host:
        raise BadSpec(f"{spec.name}: base_url must look like http://host/v1 or https://host/v1")
    full = parts.path.rstrip("/") + path
    url = urlunsplit((parts.scheme, parts.netloc, full, parts.query, ""))
    netloc = parts.netloc.rpartition("@")[2]
    secrets = [parts.password or "", *(value for _, value in parse_qsl(parts.query))]
    return Endpoint(url, urlunsplit((parts.scheme, netloc, full, "", "")), host, tuple(secrets))


@attrs.frozen(kw_only=True)
class Post:
    """One POST whose answer is a stream. Its `repr` shows neither key nor headers."""

    model: str  # `provider:model`
    endpoint: Endpoint
    key: Secret | None
    key_header: tuple[str, str]  # its name, and what stands before the key
    key_from: str | None = None  # the variable that a key is missing in, where there has to be one
    headers: Mapping[str, str] = attrs.field(repr=False)  # the user's own
    fixed_headers: Mapping[str, str] = attrs.field(factory=dict)  # those of the format
    body: Mapping[str, Any] = attrs.field(repr=False)
    timeouts: Timeouts

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no error may show: the key, what the user's own headers hold, and what the URL hides."""
        key = () if self.key is None else (self.key.reveal(), self.key.reveal().strip())
        own = (part for value in self.headers.values() for part in (value, value.partition(" ")[2]))
        found = {secret for secret in (*key, *own, *self.endpoint.secrets) if len(secret) >= SHORTEST}
        return tuple(sorted(found, key=len, reverse=True))

    def all_headers(self) -> dict[str, str]:
        """The headers of the request. Raises `BadKey` and `BadRequest` for what cannot be one, without showing it."""
        headers = {
            "accept": "text/event-stream",
            "accept-encoding": "identity",  # compressed streams come late, in lumps
            "content-type": "application/json",
            **self.fixed_headers,
        }
        if self.key is not None:
            key = self.key.reveal().strip()
            if not _sendable(key) or not key:
                raise BadKey(
                    self.model, "the API key is empty or holds characters that no key has: check where it is from"
                )
            name, before = self.key_header
            headers[name] = before + key
        for name, value in self.headers.items():
            if not _sendable(name) or not _sendable(value):
                raise BadRequest(self.model, f"the header {name!r} holds characters that no header may hold")
            headers[name.lower()] = value
        if self.key_from is not None and not headers.keys() & {"authorization", self.key_header[0]}:
            raise BadKey(
                self.model, f"there is no API key. Set {self.key_from}, or api_key, or base_url for another server."
            )
        return headers

    def content(self) -> bytes:
        """The body as JSON. A half of a character that no text may hold becomes a question mark."""
        return json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _sendable(text: str) -> bool:
    return text.isascii() and (text.isprintable() or not text)
