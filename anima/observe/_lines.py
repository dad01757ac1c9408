"""Events as lines for people: what happened to whom, and how bad that is."""

from __future__ import annotations

import re
from collections import Counter

import attrs

from anima_supervisors import (
    AutoShutdownTriggered,
    BackoffNeverGivesUp,
    Error,
    Escalated,
    Event,
    EventsDropped,
    Exited,
    GaveUp,
    HeartbeatMissed,
    Killed,
    ProcessOutput,
    RestartScheduled,
    Shutdown,
    Started,
    StartFailed,
    StartIgnored,
    Stopping,
    Stuck,
    describe,
)

from ._tracebacks import trimmed


@attrs.frozen
class Line:
    """One line of the log. `detail` is a traceback, shown the first time only."""

    level: str
    text: str
    detail: str | None = None


class Lines:
    """Makes a `Line` of each event. Remembers which tracebacks it has shown: each is shown once."""

    def __init__(self) -> None:
        self._shown: Counter[str] = Counter()

    def line(self, event: Event) -> Line:
        who = f"{event.path} #{event.incarnation}"
        match event:
            case Started():
                return Line("INFO", f"{who} started")
            case StartFailed():
                return self._failed("ERROR", f"{who} did not start", event.error)
            case StartIgnored():
                return Line("INFO", f"{who} is not wanted")
            case Exited():
                return self._exited(who, event)
            case Stopping():
                bound = f", within {event.bound:g} s" if event.bound < float("inf") else ""
                return Line("DEBUG", f"{who} is asked to stop{bound}")
            case Stuck():
                return Line("ERROR", f"{who} is stuck: still alive 1 s after its bound of {event.bound:g} s")
            case RestartScheduled():
                when = f" in {event.delay:.2f} s" if event.delay else ""
                limit = f"{event.restarts}/{event.intensity} in {event.period:g} s"
                return Line("INFO", f"{who} restarts{when} (restart {limit})")
            case HeartbeatMissed():
                return Line("ERROR", f"{who} was silent for {event.silence:.2f} s")
            case GaveUp():
                limit = f"more than {event.intensity} restarts in {event.period:g} s"
                return Line("ERROR", f"{who} gives up: {event.child} needs {limit}")
            case Escalated():
                return Line("ERROR", f"{who} ends with an error escalated by {event.child}: {describe(event.error)}")
            case AutoShutdownTriggered():
                return Line("INFO", f"{who} shuts down: {event.child} is done")
            case BackoffNeverGivesUp():
                limit = f"{event.intensity} restarts in {event.period:g} s"
                return Line("WARNING", f"{who}: its backoff waits so long that the limit of {limit} is never reached")
            case EventsDropped():
                return Line("WARNING", f"{event.count} events were dropped: the output is too slow")
            case ProcessOutput():
                return Line("DEBUG", f"{who} {event.stream}: {event.line}")
            case _:
                return Line("INFO", f"{who} {event.name} {event.fields()}")

    def _exited(self, who: str, event: Exited) -> Line:
        after = f"after {event.uptime:.1f} s"
        match event.exit:
            case Error(error):
                return self._failed("ERROR", f"{who} crashed {after}", error)
            case Killed() if not event.stopped:
                return Line("ERROR", f"{who} was killed {after}")
            case Killed():
                return Line("WARNING", f"{who} did not stop in time and was killed {after}")
            case Shutdown(BaseException() as info):
                return Line("ERROR", f"{who} ended {after}: {describe(info)}")
            case Shutdown(info) if info is not None and not event.stopped:
                return Line("INFO", f"{who} ended {after}: {info!r}")
            case _:
                return Line("INFO", f"{who} {'stopped' if event.stopped else 'ended'} {after}")

    def _failed(self, level: str, text: str, error: BaseException) -> Line:
        detail = trimmed(error)
        where = (
            re.sub(r"^\S.*$", "", detail, flags=re.MULTILINE) + type(error).__name__
        )  # messages differ, places do not
        self._shown[where] += 1
        times = self._shown[where]
        again = f" (at the same place as before, {times} times now)" if times > 1 else ""
        return Line(level, f"{text}: {describe(error)}{again}", detail if times == 1 and "\n" in detail else None)
