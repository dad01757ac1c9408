"""What happens in a tree, as frozen data. Schema `anima.supervision`, version 1.

Every event has the tree's running number `id`, the `time` (UNIX seconds), the `path` it is about and its
`incarnation`: how many times this path has been started or tried to in the life of the tree. `name` is the name of
the kind, for logs and machines; `fields()` gives the rest of the data. Adding a field or a kind keeps the version;
removing, renaming or giving another meaning raises it.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from ._exits import Exit

SCHEMA = "anima.supervision"
SCHEMA_VERSION = 1


@attrs.frozen(kw_only=True)
class Event:
    """The base of all events; subclass it for events of your own and send them with `emit`."""

    name: ClassVar[str] = "event"
    #: comes in floods: the first to be dropped when the hook is too slow
    floods: ClassVar[bool] = False
    id: int
    time: float
    path: str
    incarnation: int

    def fields(self) -> dict[str, object]:
        """What this kind of event adds to the common four."""
        common = attrs.fields_dict(Event)
        own = [field.name for field in attrs.fields(type(self)) if field.name not in common]
        return {name: getattr(self, name) for name in own}


@attrs.frozen(kw_only=True)
class Starting(Event):
    """A start attempt begins. `Started`, `StartFailed` or `StartIgnored` follows."""

    name: ClassVar[str] = "child.starting"


@attrs.frozen(kw_only=True)
class Started(Event):
    """The child is up; a supervisor when all its first children are. `value` is what it passed to `started`."""

    name: ClassVar[str] = "child.started"
    value: object = None


@attrs.frozen(kw_only=True)
class StartFailed(Event):
    """A start attempt failed, and what it had started is stopped again."""

    name: ClassVar[str] = "child.start_failed"
    error: BaseException


@attrs.frozen(kw_only=True)
class StartIgnored(Event):
    """The child said that it is not wanted this time."""

    name: ClassVar[str] = "child.ignored"


@attrs.frozen(kw_only=True)
class Exited(Event):
    """An incarnation that was up is gone. `stopped`: its supervisor had asked for it."""

    name: ClassVar[str] = "child.exited"
    exit: Exit
    stopped: bool
    uptime: float


@attrs.frozen(kw_only=True)
class Stopping(Event):
    """The supervisor has asked the child to stop, or cancelled it; it has `bound` seconds (infinity: no bound)."""

    name: ClassVar[str] = "child.stopping"
    bound: float


@attrs.frozen(kw_only=True)
class Stuck(Event):
    """The child is still alive 1 s after its bound. The stop goes on; its end and its replacement wait for it."""

    name: ClassVar[str] = "child.stuck"
    bound: float


@attrs.frozen(kw_only=True)
class RestartScheduled(Event):
    """The child will be started again after `delay` seconds: restart number `restarts` of the window."""

    name: ClassVar[str] = "child.restart_scheduled"
    delay: float
    restarts: int
    intensity: int
    period: float


@attrs.frozen(kw_only=True)
class HeartbeatMissed(Event):
    """The child has not called its `beat` for `silence` seconds; it is stopped and counts as failed."""

    name: ClassVar[str] = "child.heartbeat_missed"
    silence: float


@attrs.frozen(kw_only=True)
class GaveUp(Event):
    """The supervisor has restarted too often; it stops its children and ends. `child` is the path that failed last."""

    name: ClassVar[str] = "supervisor.gave_up"
    child: str
    intensity: int
    period: float
    error: BaseException | None


@attrs.frozen(kw_only=True)
class Escalated(Event):
    """An error was escalated by its child's `on_error`; the supervisor stops its children and ends with it."""

    name: ClassVar[str] = "supervisor.escalated"
    child: str
    error: BaseException


@attrs.frozen(kw_only=True)
class AutoShutdownTriggered(Event):
    """Significant children are done: the supervisor stops the others and ends. `child` was the last."""

    name: ClassVar[str] = "supervisor.auto_shutdown"
    child: str


@attrs.frozen(kw_only=True)
class BackoffNeverGivesUp(Event):
    """The waits of this supervisor's backoff are so long, on average, that its restart limit is hardly ever reached."""

    name: ClassVar[str] = "supervisor.backoff_never_gives_up"
    intensity: int
    period: float


@attrs.frozen(kw_only=True)
class LoopBlocked(Event):
    """A task of the child has held up the loop for `seconds` and still does, at the line `where`."""

    name: ClassVar[str] = "loop.blocked"
    task: str
    where: str
    seconds: float


@attrs.frozen(kw_only=True)
class EventsDropped(Event):
    """The hook was too slow: `count` events before this one never reached it."""

    name: ClassVar[str] = "events.dropped"
    count: int


@attrs.frozen(kw_only=True)
class ProcessOutput(Event):
    """A line that a process child wrote to `stream` (`stdout` or `stderr`), cut where it was too long."""

    name: ClassVar[str] = "process.output"
    floods: ClassVar[bool] = True
    stream: str
    line: str


@attrs.frozen(kw_only=True)
class ProcessOutputOmitted(Event):
    """The process wrote too much to `stream`: `lines` lines were read and left out."""

    name: ClassVar[str] = "process.output_omitted"
    stream: str
    lines: int


def events_by_name() -> dict[str, type[Event]]:
    """All kinds of events that supervisors send, by their names."""
    kinds = [value for value in globals().values() if isinstance(value, type) and issubclass(value, Event)]
    return {kind.name: kind for kind in kinds if kind is not Event}
