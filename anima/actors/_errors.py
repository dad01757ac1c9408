"""What can go wrong between actors, and whose fault it is.

ActorError
├── MailboxFull         the receiver's: it has no room, and its overflow policy is to reject
└── MailboxClosed       the receiver's: it has ended
"""

from __future__ import annotations


class ActorError(Exception):
    """The base of what this floor raises."""


class BadActor(ActorError, TypeError):
    """An actor class whose handlers cannot work, or are not those that it declares."""


class MailboxFull(ActorError):
    """A mailbox that rejects what does not fit has no room. Use `put` to wait for some, or give it more capacity."""

    def __init__(self, capacity: int) -> None:
        super().__init__(f"the mailbox is full: it holds its {capacity} messages")
        self.capacity = capacity


class MailboxClosed(ActorError):
    """The mailbox takes no message any more: its actor has ended."""

    def __init__(self) -> None:
        super().__init__("the mailbox is closed: its actor has ended")
