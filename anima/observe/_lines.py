"""Events as lines for people: what happened to whom, and how bad that is."""

from __future__ import annotations

from collections import Counter

import attrs

from anima.actors import DeadLettered, Reason
from anima.agents import (
    AgentMemoryTrouble,
    AgentModelCalled,
    AgentModelTrouble,
    AgentToolCalled,
    AgentTurnBegan,
    AgentTurnEnded,
    AgentTurnWaits,
)
from anima.hub import SubscriberSlow
from anima_supervisors import (
    AutoShutdownTriggered,
    BackoffNeverGivesUp,
    ChildStartFailed,
    Error,
    Escalated,
    Event,
    EventsDropped,
    Exited,
    GaveUp,
    HeartbeatMissed,
    Killed,
    LoopBlocked,
    ProcessOutput,
    ProcessOutputOmitted,
    RestartIntensityExceeded,
    RestartScheduled,
    Shutdown,
    StartCancelled,
    Started,
    StartFailed,
    StartIgnored,
    Starting,
    Stopping,
    Stuck,
    describe,
    leaves,
)

from ._record import safe_repr
from ._tracebacks import place, trimmed

#: So many places are remembered; a program that fails at more of them shows its tracebacks again.
REMEMBERED = 1000


@attrs.frozen
class Line:
    """One line of the log. `detail` is a traceback, shown the first time only."""

    level: str
    text: str
    detail: str | None = None


class Lines:
    """Makes a `Line` of each event. Remembers which tracebacks it has shown: each is shown once."""

    def __init__(self) -> None:
        self._shown: Counter[tuple[object, ...]] = Counter()
        self._last: BaseException | None = None

    def line(self, event: Event) -> Line:
        who = f"{event.path} #{event.incarnation}"
        match event:
            case Starting():
                return Line("DEBUG", f"{who} starts")
            case Started():
                return Line("INFO", f"{who} started")
            case StartFailed(error=StartCancelled()):
                return Line("INFO", f"{who} was stopped during its start")
            case StartFailed():
                return self._failed(f"{who} did not start", event, event.error)
            case StartIgnored():
                return Line("INFO", f"{who} is left out: it raised Ignore")
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
                limit = f"the {event.intensity} allowed in {event.period:g} s"
                return Line("ERROR", f"{who} gives up: {event.child} needs a restart beyond {limit}")
            case Escalated():
                return Line("ERROR", f"{who} ends with an error escalated by {event.child}: {describe(event.error)}")
            case AutoShutdownTriggered():
                return Line("INFO", f"{who} shuts down: {event.child} is done")
            case BackoffNeverGivesUp():
                limit = f"{event.intensity} restarts in {event.period:g} s"
                return Line(
                    "WARNING", f"{who}: its backoff waits too long to ever reach the limit of {limit}, as a rule"
                )
            case LoopBlocked():
                return Line("WARNING", f"{who} holds up everything since {event.seconds:.1f} s: {event.where}")
            case EventsDropped():
                return Line("WARNING", f"{event.count} events were dropped: the output is too slow")
            case ProcessOutput():
                return Line("DEBUG", f"{who} {event.stream}: {event.line}")
            case ProcessOutputOmitted():
                return Line("WARNING", f"{who} wrote too much to {event.stream}: {event.lines} lines are left out")
            case DeadLettered():
                sender = f" from {event.sender}" if event.sender else ""
                error = f": {event.error}" if event.error else ""
                # What it told itself, and had no time for before its end, is nobody's loss.
                own = event.reason == Reason.LEFT_OVER.value and event.sender == event.path
                level = "DEBUG" if own else "WARNING"
                return Line(level, f"{who} dead letter ({event.reason}): {event.message}{sender}{error}")
            case SubscriberSlow():
                return Line("WARNING", f"{who} is too slow for {event.topic} ({event.pattern}): its mailbox is full")
            case AgentTurnBegan():
                return Line("INFO", f"{who} {'goes on with' if event.resumed else 'takes up'} turn {event.turn}")
            case AgentModelCalled():
                return self._model_called(who, event)
            case AgentModelTrouble():
                return Line("WARNING", f"{who} {event.model}: {event.what}")
            case AgentTurnWaits():
                return Line("WARNING", f"{who} turn {event.turn} waits: {event.question}")
            case AgentMemoryTrouble():
                return Line("WARNING", f"{who} {event.what}")
            case AgentToolCalled():
                word = "failed" if event.failed else "done"
                return Line("DEBUG", f"{who} step {event.step}: {event.tool} {word} in {event.seconds:.2f} s")
            case AgentTurnEnded():
                cost = "" if event.cost is None else f", ${event.cost:.4f}"
                error = f": {event.error}" if event.error else ""
                what = f"{event.steps} steps, {event.input_tokens} + {event.output_tokens} tokens{cost}"
                return Line("INFO", f"{who} ended turn {event.turn} ({event.stop_reason}, {what}){error}")
            case _:
                fields = ", ".join(f"{name}={safe_repr(value)}" for name, value in event.fields().items())
                return Line("INFO", f"{who} {event.name} {fields}".rstrip())

    def _model_called(self, who: str, event: AgentModelCalled) -> Line:
        if event.error is not None:
            return Line("WARNING", f"{who} step {event.step}: {event.error}")
        tokens = f"{event.input_tokens} + {event.output_tokens} tokens"
        return Line("DEBUG", f"{who} step {event.step}: {event.model} answered in {event.seconds:.2f} s, {tokens}")

    def _exited(self, who: str, event: Exited) -> Line:
        after = f"after {event.uptime:.1f} s"
        match event.exit:
            case Error(error) if any(isinstance(leaf, SystemExit | KeyboardInterrupt) for leaf in leaves(error)):
                return Line("WARNING", f"{who} ends the program {after}: {describe(error)}")
            case Error(error):
                return self._failed(f"{who} crashed {after}", event, error)
            case Killed() if not event.stopped:
                return Line("ERROR", f"{who} was killed {after}")
            case Killed():
                return Line("WARNING", f"{who} did not stop in time and was killed {after}")
            case Shutdown(RestartIntensityExceeded()):
                return Line("ERROR", f"{who} ended {after}: it gave up")
            case Shutdown(BaseException() as info):
                return Line("ERROR", f"{who} ended {after}: {describe(info)}")
            case Shutdown(info) if info is not None and not event.stopped:
                return Line("INFO", f"{who} ended {after}: {safe_repr(info)}")
            case _:
                return Line("INFO", f"{who} {'stopped' if event.stopped else 'ended'} {after}")

    def _failed(self, text: str, event: Event, error: BaseException) -> Line:
        text = f"{text}: {describe(error)}"
        where = place(error)
        here, self._last = self._last, next(leaves(error))
        if isinstance(error, ChildStartFailed) or here is self._last:
            return Line("ERROR", text)  # it was shown for the child, and comes up through its supervisors
        if not where:  # not raised by code: a process that failed brings its last words instead
            last_words = "\n".join(_text(error).splitlines()[1:])
            return Line("ERROR", text, last_words or None)
        if len(self._shown) >= REMEMBERED:
            self._shown.clear()
        self._shown[event.path, where] += 1
        times = self._shown[event.path, where]
        if times > 1:
            return Line("ERROR", f"{text} (at the same place as before, {times} times now)")
        return Line("ERROR", text, trimmed(error))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # the code under supervision wrote __str__
        return ""
