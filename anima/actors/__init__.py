"""Actors: isolated state behind a mailbox, supervised. There is no model in here.

From the bottom up; at run time each module imports only from those above it in this list:

- `_errors`, `_messages`, `_dispatch`: what can go wrong, what actors say, and which method takes it
- `_mailbox`: a bounded queue with a reserved lane
- `_timers`, `_waits`, `_reply`: one task for all deadlines, who waits for whom, the slot of a reply
- `_envelope`, `_events`, `_deadletters`: what a message travels in, and what nobody took
- `_declares`, `_place`, `_cell`, `_ref`: what is known of an address, the address itself, that of an actor, which
  outlives restarts, and what others hold of it
- `_actor`, `_loop`, `_pool`: what users subclass, one incarnation of it, several behind one address
- `_spec`, `_inbox`, `_system`: what to start, the address of a plain task, and the tree that holds all of it

Start with `open_system`.
"""

from ._actor import Actor
from ._deadletters import DeadLetter, DeadLetters, Reason
from ._declares import Declaration
from ._dispatch import receive
from ._envelope import Envelope, Published, Trace
from ._errors import (
    ActorError,
    ActorStopped,
    AskCircle,
    AskError,
    AskFailed,
    AskTimeout,
    BadActor,
    MailboxClosed,
    MailboxDropped,
    MailboxFull,
    NotAccepted,
    Refused,
    StashFull,
    TooManyHops,
)
from ._events import DeadLettered, actor_events
from ._inbox import Inbox
from ._mailbox import Mailbox, MailboxReceiver, MailboxSender, MailboxSpec, MailboxStatistics, Overflow
from ._messages import Request, Stop, Terminated, is_idempotent, message
from ._place import Place, Receiver
from ._pool import ByKey, LeastMailbox, RoundRobin, Route
from ._ref import ActorRef, AskedOf, RefSender
from ._spec import ActorSpec, PoolSpec
from ._system import System, open_system
from ._timers import Timer

__all__ = [
    "Actor",
    "ActorError",
    "ActorRef",
    "ActorSpec",
    "ActorStopped",
    "AskCircle",
    "AskError",
    "AskFailed",
    "AskTimeout",
    "AskedOf",
    "BadActor",
    "ByKey",
    "DeadLetter",
    "DeadLettered",
    "DeadLetters",
    "Declaration",
    "Envelope",
    "Inbox",
    "LeastMailbox",
    "Mailbox",
    "MailboxClosed",
    "MailboxDropped",
    "MailboxFull",
    "MailboxReceiver",
    "MailboxSender",
    "MailboxSpec",
    "MailboxStatistics",
    "NotAccepted",
    "Overflow",
    "Place",
    "PoolSpec",
    "Published",
    "Reason",
    "Receiver",
    "RefSender",
    "Refused",
    "Request",
    "RoundRobin",
    "Route",
    "StashFull",
    "Stop",
    "System",
    "Terminated",
    "Timer",
    "TooManyHops",
    "Trace",
    "actor_events",
    "is_idempotent",
    "message",
    "open_system",
    "receive",
]
