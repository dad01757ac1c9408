"""What can go wrong, and whose fault it is.

    SupervisorError
    ├── BadSpec                     the caller's: a spec that can never work; also a ValueError
    ├── ChildStartFailed            the child's: it did not come up; its cause is the reason
    ├── RestartIntensityExceeded    the children's: too many restarts; its cause is the last failure
    ├── ChildEscalated              a child's, by its own rule: its cause is the error
    ├── ManagementError             the answer of a management call that could not be done
    │   ├── ChildAlreadyStarted · ChildAlreadyPresent · ChildRunning · ChildRestarting
    │   ├── ChildNotFound · MaxChildrenReached · UnsupportedByDynamic · ChildStuck
    │   ├── SupervisorStopped       the supervisor ended before it could answer
    │   └── SupervisorDeadlock      the caller is what the supervisor is waiting for
    └── ChildFailure                found out by the supervisor instead of raised by the child
        └── ReturnedBeforeStarted · StartTimeout · StartCancelled · HeartbeatLost · BadFactory

OTP's word for each management error is its `reason`.
"""

from __future__ import annotations

from typing import ClassVar

from ._exits import leaves


class SupervisorError(Exception):
    """The base of everything this package raises."""


class BadSpec(SupervisorError, ValueError):
    """A spec has values, or combinations of values, that can never work. Nothing was started.

    `faults` has them one by one, in the order of the fields.
    """

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class ChildStartFailed(SupervisorError):
    """A child did not come up. `__cause__` is what it raised.

    Out of `open_supervisor`: the first start failed and what had started was stopped again. Out of a management
    call: only that child failed; the supervisor goes on.
    """

    reason: ClassVar[str] = "start_failed"

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(f"{path} did not start: {describe(cause)}")
        self.path = path
        self.__cause__ = cause


class RestartIntensityExceeded(SupervisorError):
    """A supervisor gave up: more than `intensity` restarts within `period` seconds.

    `__cause__` is the exception of the child that failed last, where it ended with one.
    """

    def __init__(self, path: str, child: str, intensity: int, period: float, cause: BaseException | None) -> None:
        reason = f": {describe(cause)}" if cause is not None else ""
        super().__init__(
            f"{path} gave up: {child} needed a restart beyond the {intensity} allowed in {period:g} s{reason}"
        )
        self.path = path
        self.child = child
        self.intensity = intensity
        self.period = period
        self.__cause__ = cause


class ChildEscalated(SupervisorError):
    """The root stopped because a child's `on_error` says that this error is for its parent."""

    def __init__(self, path: str, cause: BaseException) -> None:
        super().__init__(f"an error of {path} was escalated to the top: {describe(cause)}")
        self.path = path
        self.__cause__ = cause


class ManagementError(SupervisorError):
    """A management call that could not be done. The tree is as it was."""

    reason: ClassVar[str] = "error"
    text: ClassVar[str] = "{path} cannot do that"

    def __init__(self, path: str) -> None:
        super().__init__(self.text.format(path=path))
        self.path = path


class ChildAlreadyStarted(ManagementError):
    """`start_child`: there is a child of this id, and it has a task."""

    reason = "already_started"
    text = "{path} is already up; terminate_child and delete_child it first, or choose another id"


class ChildAlreadyPresent(ManagementError):
    """`start_child`: there is a child of this id, which is down or waits for a restart."""

    reason = "already_present"
    text = "{path} is not up but its spec is kept; use restart_child, or delete_child it first"


class ChildRunning(ManagementError):
    """`restart_child`, `delete_child`: the child has a task."""

    reason = "running"
    text = "{path} is running; terminate_child it first"


class ChildRestarting(ManagementError):
    """`restart_child`, `delete_child`: the child waits for its next restart."""

    reason = "restarting"
    text = "{path} is waiting for its next restart; terminate_child ends the wait"


class ChildNotFound(ManagementError):
    """There is no child of this id, or no supervisor at this path."""

    reason = "not_found"
    text = "{path} is not there"


class UnsupportedByDynamic(ManagementError):
    """`restart_child`, `delete_child`: there is no such thing under a dynamic supervisor."""

    reason = "simple_one_for_one"
    text = "{path} is a dynamic supervisor: it keeps no spec of a child that is not running"


class MaxChildrenReached(ManagementError):
    """`start_child`, `run_task`: the dynamic supervisor is full."""

    reason = "max_children"
    text = "{path} has as many children as its max_children allows"


class ChildStuck(ManagementError):
    """`terminate_child`: the child has not ended in time, and is still there."""

    reason = "stuck"
    text = (
        "{path} was asked to stop and cancelled, and is still alive 1 s after its bound; "
        "it has no replacement until it ends"
    )


class SupervisorStopped(ManagementError):
    """The supervisor ended before it could answer, or had ended already."""

    reason = "noproc"
    text = "{path} has ended"


class SupervisorDeadlock(ManagementError):
    """The call comes from the very child that the supervisor is waiting for."""

    reason = "deadlock"
    text = (
        "{path}: the supervisor is waiting for the very child that makes this call, so neither could go on; "
        "call it after the start, or use stop(), which does not wait"
    )


class ChildFailure(SupervisorError):
    """A failure that the supervisor found out; the child raised nothing."""


class ReturnedBeforeStarted(ChildFailure):
    """The child takes `task_status` and ended before it called `started()`. To be left out, raise `Ignore`."""


class StartTimeout(ChildFailure):
    """The child was not up within its `start_timeout`."""


class StartCancelled(ChildFailure):
    """The child was stopped while it started: its supervisor is stopping, or who asked for it gave up."""


class HeartbeatLost(ChildFailure):
    """The child promised a heartbeat and fell silent."""


class BadFactory(ChildFailure):
    """A `SpecFactory` returned something that cannot be started."""


def describe(error: BaseException) -> str:
    """One line for a person: type and message; for a group its first leaf and how many more."""
    errors = [*leaves(error)]
    error, more = errors[0], len(errors) - 1
    try:
        text = str(error).strip().partition("\n")[0]
    except Exception:  # the code under supervision wrote __str__
        text = "its text cannot be shown"
    line = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{line} (and {more} more)" if more else line
