"""What can go wrong between actors, and whose fault it is.

ActorError
├── BadActor            the class's: its handlers cannot work, or are not those that it declares
├── NotAccepted         the sender's: the receiver's class does not take such a message
├── MailboxFull         the receiver's: it has no room, and its overflow policy is to reject
├── MailboxDropped      the same, where the policy is to drop: the cause of an `AskFailed`
├── MailboxClosed       the receiver's: its end of a mailbox is closed
├── TooManyHops         the senders': a message has caused a message too often, most likely in a circle
├── StashFull           the actor's own: it stashes more than it has room for
├── Refused             a handler says no: raised by it, and raised again at whoever asked
└── AskError            an ask did not get its reply
    ├── AskTimeout      nobody answered in time
    ├── AskFailed       the handler raised; the error is the `__cause__`
    ├── ActorStopped    the actor has ended, or never was
    └── AskCircle       whoever would have to answer waits, in the end, for the asker
"""

from __future__ import annotations

from collections.abc import Sequence


class ActorError(Exception):
    """The base of what this floor raises."""


class BadActor(ActorError, TypeError):
    """An actor class whose handlers cannot work, or are not those that it declares."""


class NotAccepted(ActorError, TypeError):
    """The receiver has no handler for such a message. Nothing was sent."""

    def __init__(self, path: str, kind: type, accepted: Sequence[str]) -> None:
        takes = ", ".join(accepted) or "no message at all"
        super().__init__(f"{path} does not accept {kind.__name__}; it takes {takes}")
        self.path = path


class MailboxFull(ActorError):
    """A mailbox that rejects what does not fit has no room. Use `put` to wait for some, or give it more capacity."""

    def __init__(self, capacity: int, path: str | None = None) -> None:
        whose = "the mailbox" if path is None else f"the mailbox of {path}"
        super().__init__(f"{whose} is full: it holds its {capacity} messages")
        self.capacity = capacity
        self.path = path


class MailboxDropped(ActorError):
    """A message was dropped, since the mailbox it was for had no room and its overflow policy is to drop."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the mailbox of {path} was full, and drops what does not fit")


class MailboxClosed(ActorError):
    """The mailbox takes no message any more: its actor has ended."""

    def __init__(self) -> None:
        super().__init__("the mailbox is closed: its actor has ended")


class TooManyHops(ActorError):
    """Messages have caused messages in a row that is too long. Break the circle, or raise `max_hops` of the system."""

    def __init__(self, path: str, hops: int, way: Sequence[str]) -> None:
        last = " -> ".join([*way[-4:], path])
        super().__init__(f"the message to {path} would be number {hops} of a chain (... {last}); it is a dead letter")
        self.path = path
        self.hops = hops


class StashFull(ActorError):
    """The stash of an actor holds as many messages as its mailbox may; unstash some, or crash."""

    def __init__(self, path: str, capacity: int) -> None:
        super().__init__(f"the stash of {path} is full: it holds {capacity} messages")


class Refused(ActorError):
    """Raise it (or a subclass) in a handler to say no: the asker gets it as it is, and the actor goes on.

    A message that nobody waits for becomes a dead letter.
    """


class AskError(ActorError):
    """The base of what an ask raises when there is no reply. `path` is the address asked."""

    def __init__(self, path: str, text: str) -> None:
        super().__init__(text)
        self.path = path


class AskTimeout(AskError):
    """Nobody answered in time. The handler was cancelled, unless its class finishes what it has taken (`detach`)."""


class AskFailed(AskError):
    """The handler of the request raised: see `__cause__`. Its actor has crashed by it and is restarted."""


class ActorStopped(AskError):
    """The actor has ended, or there is none at this address."""


class AskCircle(AskError):
    """Waiting for this actor would close a circle of actors that wait for each other: nobody would ever answer.

    `circle` has their paths, the asker first. Use `tell`, or ask outside of the handler.
    """

    def __init__(self, circle: Sequence[str]) -> None:
        names = " -> ".join([*circle, circle[0]])
        super().__init__(circle[1 % len(circle)], f"this would wait for ever: {names}")
        self.circle = tuple(circle)
