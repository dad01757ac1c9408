"""What can go wrong with a model, by who is to blame.

ModelError
├── BadRequest         our request: mend it, trying again is useless
│   ├── ContextOverflow    it is longer than the model can read
│   └── CassetteMiss       it is not on the cassette that is replayed
├── BadKey             the key: missing, wrong, or not allowed to do this
├── QuotaExceeded      the account: nothing is left on it
├── RateLimited        the account: too much at once; later it goes on
├── ServerFailed       the server: it failed, is overloaded, or answered nonsense
│   └── CircuitOpen        it failed so often that it is left alone for a while
└── NetworkFailed      between us: no connection, or one that broke
    ├── ModelTimeout       nothing came for too long
    └── BrokenStream       the answer ended before its end
"""

from __future__ import annotations

from typing import ClassVar


class ModelError(Exception):
    """A model could not answer. The text says who is to blame and what to do."""

    #: trying the same again may help
    retryable: ClassVar[bool] = False
    #: `request`, `key`, `quota`, `server` or `network`
    blame: ClassVar[str] = "server"

    def __init__(self, model: str, what: str, *, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(f"{model}: {what}")
        #: `provider:model`
        self.model = model
        #: of the HTTP response, if there was one
        self.status = status
        #: for how many seconds the server wants to be left alone, if it said so
        self.retry_after = retry_after


class BadRequest(ModelError):
    """The server does not take our request as it is."""

    blame = "request"


class ContextOverflow(BadRequest):
    """The conversation is longer than the model can read."""


class CassetteMiss(BadRequest):
    """A request is not on the cassette; the text shows the difference to the nearest one that is."""


class BadKey(ModelError):
    """The key is missing, wrong, or may not do this."""

    blame = "key"


class QuotaExceeded(ModelError):
    """Nothing is left on the account."""

    blame = "quota"


class RateLimited(ModelError):
    """Too many requests or tokens at once."""

    blame = "quota"
    retryable = True


class ServerFailed(ModelError):
    """The server failed, is overloaded, or answered with what is no answer."""

    retryable = True


class CircuitOpen(ServerFailed):
    """The server failed so often lately that it is not asked for a while: `retry_after` seconds."""


class NetworkFailed(ModelError):
    """There is no connection, or it broke."""

    blame = "network"
    retryable = True


class ModelTimeout(NetworkFailed):
    """Nothing came for too long: the text says in which stage."""


class BrokenStream(NetworkFailed):
    """The answer ended before its end. What came of it is void."""
