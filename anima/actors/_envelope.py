"""What a message travels in: who sent it, what caused it, who waits for the reply and until when.

Envelopes are made for every message, so that they hold as little as possible: what most messages do not have stands
on the class. They are never changed, and one may be in many mailboxes at once.
"""

from __future__ import annotations

import math

from ._reply import Reply
from ._waits import Node

#: Of a long chain of messages, the addresses of so many last hops are kept.
KEPT_HOPS = 64


class Trace:
    """What a message belongs to: the `id` of the chain of messages that caused it, its length so far, and its way.

    The id has 32 hexadecimal digits, as in W3C's trace context.
    """

    __slots__ = ("_before", "_sender", "hops", "id")

    def __init__(self, id: str, hops: int, before: Trace | tuple[str, ...], sender: str | None) -> None:
        self.id = id
        self.hops = hops
        self._before = before
        self._sender = sender

    def next(self, sender: str) -> Trace:
        """That of what `sender` sends while it handles a message with this trace."""
        # A chain of all hops would grow for ever: now and then the last ones are copied, and the rest is let go.
        hops = self.hops + 1
        return Trace(self.id, hops, self if hops % KEPT_HOPS else self.path, sender)

    @property
    def path(self) -> tuple[str, ...]:
        """The addresses of the last `KEPT_HOPS` senders, the first of them first."""
        way: list[str] = []
        here: Trace | tuple[str, ...] = self
        while isinstance(here, Trace):
            if here._sender is not None:
                way.append(here._sender)
            here = here._before
        return (*here, *reversed(way))[-KEPT_HOPS:]


class Envelope:
    """A message on its way. Without a `trace` a chain begins with it."""

    __slots__ = ("message", "sender", "trace")

    reply: Reply | None = None
    deadline: float = math.inf
    attempts: int = 0
    #: the subscription it came by
    source: object = None

    def __init__(self, message: object, sender: Node | None, trace: Trace | None) -> None:
        self.message = message
        self.sender = sender
        self.trace = trace


class Question(Envelope):
    """A request that somebody waits for, until `deadline` on Trio's clock."""

    __slots__ = ("deadline", "reply")

    reply: Reply

    def __init__(
        self, message: object, sender: Node | None, trace: Trace | None, reply: Reply, deadline: float
    ) -> None:
        self.message = message
        self.sender = sender
        self.trace = trace
        self.reply = reply
        self.deadline = deadline


class Published(Envelope):
    """A message that came by a subscription."""

    __slots__ = ("source",)

    def __init__(self, message: object, sender: Node | None, trace: Trace | None, source: object) -> None:
        self.message = message
        self.sender = sender
        self.trace = trace
        self.source = source


class Redelivery(Envelope):
    """A message whose handling was begun `attempts` times already and never finished."""

    __slots__ = ("attempts", "deadline", "reply", "source")

    def __init__(self, before: Envelope) -> None:
        self.message = before.message
        self.sender = before.sender
        self.trace = before.trace
        self.reply = before.reply
        self.deadline = before.deadline
        self.source = before.source
        self.attempts = before.attempts + 1


class News(Envelope):
    """In the reserved lane: what one `incarnation` has asked to be told. To the next one it would say nothing."""

    __slots__ = ("incarnation",)

    def __init__(self, message: object, incarnation: object) -> None:
        super().__init__(message, None, None)
        self.incarnation = incarnation


class StopSignal(Envelope):
    """In the reserved lane: the actor is to end.

    `final`: it was told to, and is not restarted. With an `incarnation` it is for that one alone.
    """

    __slots__ = ("final", "incarnation", "reason")

    def __init__(self, reason: object, final: bool, incarnation: object) -> None:
        super().__init__(None, None, None)
        self.reason = reason
        self.final = final
        self.incarnation = incarnation
