"""The children of one supervisor, in start order, and what is known about each between its incarnations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import Context

import attrs
import trio

from ._errors import describe
from ._exits import Exit, Shutdown, error_of
from ._hooks import report
from ._incarnation import Incarnation, State
from ._specs import ChildSpec


@attrs.define(eq=False)
class Retry:
    """A restart still to be made. It goes stale when the child's `retry` is another one (rules C7, D6).

    `counted`: its restart is in the window already. `waits_for`: stuck incarnations that must end first.
    """

    child: Child
    #: why the child needs it: the cause of a give-up
    error: BaseException | None = None
    counted: bool = False
    #: the wait for it, to be cancelled with it
    timer: trio.CancelScope | None = None
    waits_for: set[Incarnation] = attrs.field(factory=set)


@attrs.define(eq=False)
class Child:
    """A child's place in its supervisor. Its task, while it has one, is `incarnation`."""

    spec: ChildSpec
    path: str
    #: the context variables its tasks start with: those of whoever asked for its first start
    context: Context
    incarnation: Incarnation | None = None
    retry: Retry | None = None
    #: failures in a row, for the backoff
    failures: int = 0
    last_error: str | None = None
    #: see `Handle.on_down`; with the exit it is to be called with
    on_down: Callable[[Exit], object] | None = None
    last_exit: Exit | None = None
    #: its next start attempt is up at once
    up_at_once: bool = attrs.field(init=False)
    #: to be forgotten as soon as its stuck incarnation is gone
    doomed: bool = False
    #: its name was made up by the supervisor and is never used again
    unnamed: bool = False

    @up_at_once.default
    def _up_at_once_from_the_start(self) -> bool:
        return self.spec.up_at_once

    @property
    def id(self) -> str:
        return self.spec.id

    def came_up(self) -> None:
        """A start attempt was successful."""
        if self.spec.up_again_at_once:
            self.up_at_once = True

    @property
    def state(self) -> State:
        """That of its task, while it has one; without one it waits for a restart or is down."""
        if self.incarnation is not None:
            return self.incarnation.state
        return State.DOWN if self.retry is None else State.RESTARTING

    @property
    def counts_as_there(self) -> bool:
        """It is up, or will be again by itself. One that was stopped and is stuck is as good as gone."""
        return self.retry is not None or (self.incarnation is not None and self.incarnation.state is not State.STUCK)

    @property
    def kind(self) -> str:
        """`supervisor`, `task`, or what the start callable says in its attribute `kind`."""
        return "supervisor" if self.spec.is_supervisor else str(getattr(self.spec.start, "kind", "task"))

    def drop_retry(self) -> None:
        """No restart is due any more, or it is made now."""
        if self.retry is not None and self.retry.timer is not None:
            self.retry.timer.cancel()
        self.retry = None

    def leave(self) -> None:
        """Its task is gone."""
        if self.on_down is not None and self.incarnation is not None:
            self.last_exit = self.incarnation.exit
        self.incarnation = None

    def down(self) -> None:
        """It has no task and gets none by itself. If it is started again, that is a first start."""
        self.up_at_once = self.spec.up_at_once
        callback, self.on_down = self.on_down, None
        if callback is not None:
            exit, self.last_exit = self.last_exit, None
            try:
                callback(exit or Shutdown())
            except (Exception, SystemExit) as error:  # as of an event hook: it cannot end the supervisor
                report(error, f"raised by what {self.path} wants to be called when it is down")

    def note(self, exit: Exit) -> None:
        """Remember the error as text: an exception would keep the frames of a dead incarnation alive."""
        error = error_of(exit)
        if error is not None:
            self.last_error = describe(error)
        elif not exit.clean:
            self.last_error = exit.word


class Children:
    """Children by id, in start order; adding, removing and finding cost the same however many there are."""

    __slots__ = ("_by_id",)

    def __init__(self) -> None:
        self._by_id: dict[str, Child] = {}

    def __iter__(self) -> Iterator[Child]:
        return iter(self._by_id.values())

    def __reversed__(self) -> Iterator[Child]:
        return reversed(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def get(self, id: str) -> Child | None:
        return self._by_id.get(id)

    def add(self, child: Child) -> None:
        assert child.id not in self._by_id
        self._by_id[child.id] = child

    def remove(self, child: Child) -> None:
        """Forget a child; one that is not (or no longer) there is left alone."""
        if self._by_id.get(child.id) is child:
            del self._by_id[child.id]
