"""Erlang-style supervision for Trio: OTP's rules, on structured concurrency.

From the bottom up; each module imports only from those above it in this list:

- `_exits`, `_errors`: why a child ended, what can go wrong
- `_policy`: who restarts, how often, after which wait: pure functions of what happened and the time
- `_specs`: what to supervise, as frozen data
- `_events`, `_hooks`, `_tree`: what happened, and where it is told
- `_given`, `_incarnation`, `_inbox`, `_children`: what a child is given, one run of it, one queue, the children
- `_restarts`, `_life`: the loop that owns a supervisor's state, and what it does about exits
- `_management`, `_snapshot`, `_tasks`, `_supervisor`, `_watchdog`, `_open`: what users hold in their hands
- `_reaper`, `_process`, `_probes`: operating system processes as children

It needs trio and attrs, and nothing else of Anima. Start with `open_supervisor`.
"""

from ._beside import beside
from ._errors import (
    BadFactory,
    BadSpec,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildEscalated,
    ChildFailure,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildStartFailed,
    ChildStuck,
    HeartbeatLost,
    ManagementError,
    MaxChildrenReached,
    RestartIntensityExceeded,
    ReturnedBeforeStarted,
    StartCancelled,
    StartTimeout,
    SupervisorDeadlock,
    SupervisorError,
    SupervisorStopped,
    UnsupportedByDynamic,
    describe,
)
from ._events import (
    SCHEMA,
    SCHEMA_VERSION,
    AutoShutdownTriggered,
    BackoffNeverGivesUp,
    Escalated,
    Event,
    EventsDropped,
    Exited,
    GaveUp,
    HeartbeatMissed,
    LoopBlocked,
    ProcessOutput,
    ProcessOutputOmitted,
    RestartScheduled,
    Started,
    StartFailed,
    StartIgnored,
    Starting,
    Stopping,
    Stuck,
    events_by_name,
)
from ._exits import CleanExit, DoNotRestart, Error, Exit, Ignore, Killed, Normal, Shutdown, is_ignore, leaves
from ._given import Handle, StopRequest
from ._hooks import EventHook, Inline
from ._incarnation import State
from ._management import ChildInfo, Counts, Ignored, StartResult, Up
from ._open import open_supervisor
from ._policy import AutoShutdown, Backoff, OnError, Restart, Strategy
from ._probes import Alive, OutputLine, Probe, Ready, TcpPort
from ._process import ProcessFailed, process_child
from ._snapshot import Snapshot
from ._specs import (
    After,
    AnySupervisorSpec,
    Args,
    ChildSpec,
    DynamicSupervisorSpec,
    Kill,
    Never,
    SpecFactory,
    StopPolicy,
    SupervisorSpec,
    given_parameters,
    unreachable_limits,
)
from ._supervisor import Supervisor
from ._tasks import Failure, MappedStream, Success

__all__ = [
    "SCHEMA",
    "SCHEMA_VERSION",
    "After",
    "Alive",
    "AnySupervisorSpec",
    "Args",
    "AutoShutdown",
    "AutoShutdownTriggered",
    "Backoff",
    "BackoffNeverGivesUp",
    "BadFactory",
    "BadSpec",
    "ChildAlreadyPresent",
    "ChildAlreadyStarted",
    "ChildEscalated",
    "ChildFailure",
    "ChildInfo",
    "ChildNotFound",
    "ChildRestarting",
    "ChildRunning",
    "ChildSpec",
    "ChildStartFailed",
    "ChildStuck",
    "CleanExit",
    "Counts",
    "DoNotRestart",
    "DynamicSupervisorSpec",
    "Error",
    "Escalated",
    "Event",
    "EventHook",
    "EventsDropped",
    "Exit",
    "Exited",
    "Failure",
    "GaveUp",
    "Handle",
    "HeartbeatLost",
    "HeartbeatMissed",
    "Ignore",
    "Ignored",
    "Inline",
    "Kill",
    "Killed",
    "LoopBlocked",
    "ManagementError",
    "MappedStream",
    "MaxChildrenReached",
    "Never",
    "Normal",
    "OnError",
    "OutputLine",
    "Probe",
    "ProcessFailed",
    "ProcessOutput",
    "ProcessOutputOmitted",
    "Ready",
    "Restart",
    "RestartIntensityExceeded",
    "RestartScheduled",
    "ReturnedBeforeStarted",
    "Shutdown",
    "Snapshot",
    "SpecFactory",
    "StartCancelled",
    "StartFailed",
    "StartIgnored",
    "StartResult",
    "StartTimeout",
    "Started",
    "Starting",
    "State",
    "StopPolicy",
    "StopRequest",
    "Stopping",
    "Strategy",
    "Stuck",
    "Success",
    "Supervisor",
    "SupervisorDeadlock",
    "SupervisorError",
    "SupervisorSpec",
    "SupervisorStopped",
    "TcpPort",
    "UnsupportedByDynamic",
    "Up",
    "beside",
    "describe",
    "events_by_name",
    "given_parameters",
    "is_ignore",
    "leaves",
    "open_supervisor",
    "process_child",
    "unreachable_limits",
]
