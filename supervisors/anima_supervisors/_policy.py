"""Policy, pure: who restarts, how often, after which wait. No clock, no task, no supervisor: time is passed in.

Rule numbers are those of `docs/supervision.md`.
"""

from __future__ import annotations

import enum
import math
from collections import deque
from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

import attrs

from ._errors import BadSpec
from ._exits import Error, Exit, Shutdown, leaves

T = TypeVar("T")


class Restart(enum.Enum):
    """Whether a child that ended by itself comes back."""

    PERMANENT = "permanent"  #: always
    TRANSIENT = "transient"  #: after an abnormal exit
    TEMPORARY = "temporary"  #: never; its spec is forgotten


class Strategy(enum.Enum):
    """Who else restarts with a child."""

    ONE_FOR_ONE = "one_for_one"  #: nobody
    ONE_FOR_ALL = "one_for_all"  #: all the others
    REST_FOR_ONE = "rest_for_one"  #: those started after it


class AutoShutdown(enum.Enum):
    """Whether the end of significant children ends the supervisor."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class OnError(enum.Enum):
    """What one kind of exception asks for, instead of what `Restart` says."""

    RESTART = "restart"
    STOP = "stop"  #: like a clean exit that is final: not restarted, not counted
    ESCALATE = "escalate"  #: the supervisor stops its children and ends with this error


class Decision(enum.Enum):
    """What becomes of a child that ended by itself."""

    RESTART = enum.auto()
    LEAVE = enum.auto()
    ESCALATE = enum.auto()


_STRENGTH = [OnError.RESTART, OnError.STOP, OnError.ESCALATE]


def decide(restart: Restart, on_error: Mapping[type[Exception], OnError], exit: Exit) -> Decision:
    """What an exit means for the child (table B of the rules, and restart by error).

    Of one exception the most specific class listed decides. Of a group the strongest exception decides:
    escalate beats stop beats restart; one that is listed nowhere asks for what `restart` says.
    """
    usual = _usual(restart, exit)
    if not (on_error and isinstance(exit, Error)):
        return usual
    fallback = OnError.RESTART if usual is Decision.RESTART else OnError.STOP
    wishes = [_wish(type(leaf), on_error, fallback) for leaf in leaves(exit.exception)]
    match max(wishes, key=_STRENGTH.index):
        case OnError.RESTART:
            return Decision.RESTART
        case OnError.STOP:
            return Decision.LEAVE
        case OnError.ESCALATE:
            return Decision.ESCALATE


def _usual(restart: Restart, exit: Exit) -> Decision:
    if restart is Restart.TEMPORARY or (isinstance(exit, Shutdown) and exit.final):
        return Decision.LEAVE
    if restart is Restart.TRANSIENT and exit.clean:
        return Decision.LEAVE
    return Decision.RESTART


def _wish(kind: type[BaseException], on_error: Mapping[type[Exception], OnError], fallback: OnError) -> OnError:
    for base in kind.__mro__:
        if base in on_error:
            return on_error[base]
    return fallback


def group_of(strategy: Strategy, ids: Sequence[T], culprit: T) -> Sequence[T]:
    """Who is stopped and started when `culprit` restarts, in start order (rules C1 to C3)."""
    match strategy:
        case Strategy.ONE_FOR_ONE:
            return [culprit]
        case Strategy.ONE_FOR_ALL:
            return ids
        case Strategy.REST_FOR_ONE:
            return ids[ids.index(culprit) :]


class RestartWindow:
    """The restarts of the last `period` seconds (rules D1 and D2)."""

    __slots__ = ("_times", "intensity", "period")

    def __init__(self, intensity: int, period: float) -> None:
        self.intensity = intensity
        self.period = period
        self._times: deque[float] = deque()

    def add(self, now: float) -> bool:
        """Count a restart at `now`; False when that is one too many and the supervisor has to give up."""
        self._times.append(now)
        return self.count(now) <= self.intensity

    def count(self, now: float) -> int:
        """How many restarts the window holds at `now`. An entry exactly `period` old is still in it."""
        while self._times and now - self._times[0] > self.period:
            self._times.popleft()
        return len(self._times)


@attrs.frozen
class Backoff:
    """A growing, random wait before each restart. OTP has none, and `backoff=None` is the default.

    The n-th failure in a row of a child waits `initial * factor**n` seconds, at most `maximum`, of which a random
    part of up to `jitter` (0 to 1; 1 is full jitter) is taken off. A child that was up for `reset_after` seconds
    starts again at `initial`.
    """

    initial: float = 0.2
    maximum: float = 30.0
    factor: float = 2.0
    jitter: float = 1.0
    reset_after: float = 60.0

    def __attrs_post_init__(self) -> None:
        if not 0 < self.initial < math.inf:
            raise BadSpec(f"backoff initial must be a number of seconds above 0, not {self.initial!r}")
        if not self.initial <= self.maximum < math.inf:
            raise BadSpec(f"backoff maximum must be at least initial ({self.initial:g} s), not {self.maximum!r}")
        if not 1 <= self.factor < math.inf:
            raise BadSpec(f"backoff factor must be 1 or more, not {self.factor!r}")
        if not 0 <= self.jitter <= 1:
            raise BadSpec(f"backoff jitter must be between 0 and 1, not {self.jitter!r}")
        if not self.reset_after >= 0:
            raise BadSpec(f"backoff reset_after must be 0 or more seconds, not {self.reset_after!r}")

    def ceiling(self, failures: int) -> float:
        """The longest wait, in seconds, before restart number `failures` (0 for the first) of a row."""
        try:
            return min(self.maximum, self.initial * self.factor**failures)
        except OverflowError:  # a float ends near 1e308; the maximum was reached long before
            return self.maximum

    def delay(self, failures: int, random: Random) -> float:
        """The wait, in seconds, before restart number `failures` (0 for the first) of a row."""
        return self.ceiling(failures) * (1 - self.jitter * random.random())

    def reaches(self, intensity: int, period: float) -> bool:
        """Whether a child that fails at once each time makes a supervisor with this backoff give up.

        Reckoned with the average wait: `intensity + 1` attempts are `intensity` waits apart.
        """
        average = 1 - self.jitter / 2
        apart = 0.0
        for n in range(1, intensity + 1):
            apart += self.ceiling(n) * average
            if apart > period:
                return False
        return True
