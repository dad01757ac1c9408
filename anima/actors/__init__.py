"""Actors: isolated state behind a mailbox. This floor has no model in it; it is being built.

- `_errors`: what can go wrong, and whose fault it is
- `_mailbox`: a bounded queue with a reserved lane, whose ends are Trio channels
"""

from ._errors import ActorError, MailboxClosed, MailboxFull
from ._mailbox import Mailbox, MailboxReceiver, MailboxSender, MailboxStatistics, Overflow

__all__ = [
    "ActorError",
    "Mailbox",
    "MailboxClosed",
    "MailboxFull",
    "MailboxReceiver",
    "MailboxSender",
    "MailboxStatistics",
    "Overflow",
]
