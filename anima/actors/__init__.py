"""Actors: isolated state behind a mailbox. This floor has no model in it; it is being built.

- `_errors`: what can go wrong, and whose fault it is
- `_messages`, `_dispatch`: what actors say, and which method takes it
- `_mailbox`: a bounded queue with a reserved lane, whose ends are Trio channels
"""

from ._dispatch import receive
from ._errors import ActorError, BadActor, MailboxClosed, MailboxFull
from ._mailbox import Mailbox, MailboxReceiver, MailboxSender, MailboxStatistics, Overflow
from ._messages import Request, message

__all__ = [
    "ActorError",
    "BadActor",
    "Mailbox",
    "MailboxClosed",
    "MailboxFull",
    "MailboxReceiver",
    "MailboxSender",
    "MailboxStatistics",
    "Overflow",
    "Request",
    "message",
    "receive",
]
