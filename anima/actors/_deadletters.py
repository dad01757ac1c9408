"""Messages that nobody took: kept for a while, told as events, readable, and to be sent again."""

from __future__ import annotations

import enum
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator

import attrs

from anima_supervisors import describe

from ._envelope import Envelope
from ._events import DeadLettered


class Reason(enum.Enum):
    """Why nobody took a message."""

    NO_ACTOR = "no_actor"  #: there is no actor at the address, or it has ended
    LEFT_OVER = "left_over"  #: it was in the mailbox or the stash, or waited for room, when the actor or that ended
    DROPPED = "dropped"  #: the mailbox was full, and its overflow policy is to drop
    EXPIRED = "expired"  #: whoever asked had stopped waiting before the handling began
    QUARANTINED = "quarantined"  #: its handler raised, as often as `attempts` allows
    INTERRUPTED = "interrupted"  #: the actor was cancelled while it handled it, as often as `attempts` allows
    REFUSED = "refused"  #: the handler refused it, and nobody waited for the answer
    TOO_MANY_HOPS = "too_many_hops"  #: it was one too many in a chain of messages that cause each other


@attrs.frozen(eq=False)
class DeadLetter:
    """A message that nobody took.

    `to` and `sender` are addresses; no sender: it came from outside of actors. `attempts` is how often its handling
    was begun, `time` UNIX seconds, `error` the text of what its handler raised. `trace`, `hops` and `way` (the last
    senders of its chain) are None, 1 and empty where the chain began with it.
    """

    id: int
    message: object
    to: str
    sender: str | None
    reason: Reason
    attempts: int
    time: float
    trace: str | None
    hops: int
    way: tuple[str, ...]
    error: str | None = None


class DeadLetters:
    """The last `limit` dead letters of a system, and how many there were of each reason. Iterates oldest first.

    `emit` sends an event about a path, `tell` a message to one.
    """

    def __init__(self, limit: int, emit: Callable[..., None], tell: Callable[[str, object], None]) -> None:
        self._limit = limit
        self._emit = emit
        self._tell = tell
        self._kept: OrderedDict[int, DeadLetter] = OrderedDict()
        self._last = 0
        #: how many there were in the life of the system, by reason
        self.counts: Counter[Reason] = Counter()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[DeadLetter]:
        return iter(list(self._kept.values()))

    def get(self, id: int) -> DeadLetter | None:
        return self._kept.get(id)

    def add(self, envelope: Envelope, to: str, reason: Reason, error: BaseException | None = None) -> DeadLetter:
        """Take a message that nobody takes. The oldest one makes room."""
        trace = envelope.trace
        self._last += 1
        letter = DeadLetter(
            self._last,
            envelope.message,
            to,
            None if envelope.sender is None else envelope.sender.path,
            reason,
            envelope.attempts,
            time.time(),
            None if trace is None else trace.id,
            1 if trace is None else trace.hops,
            () if trace is None else trace.path,
            None if error is None else describe(error),
        )
        self._kept[letter.id] = letter
        if len(self._kept) > self._limit:
            self._kept.popitem(last=False)
        self.counts[reason] += 1
        self._emit(
            DeadLettered,
            to,
            reason=reason.value,
            message=type(letter.message).__name__,
            sender=letter.sender,
            attempts=letter.attempts,
            error=letter.error,
        )
        return letter

    def drop(self, id: int) -> None:
        """Forget one. Raises `KeyError`."""
        del self._kept[id]

    def resend(self, id: int) -> None:
        """Send one again, to the same address and as if for the first time; it is a dead letter no more.

        Raises `KeyError`, and what `tell` raises: then it is kept. If there is still no actor, it is a new dead letter.
        """
        letter = self._kept[id]
        self._tell(letter.to, letter.message)
        self._kept.pop(id, None)  # it may have made room for a new one
