"""The root: a supervision tree as an `async with` block."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from random import Random

import trio

from ._errors import BadSpec, ChildEscalated, ChildStartFailed, RestartIntensityExceeded
from ._exits import Error, Exit, Shutdown, leaves, split_cancelled
from ._hooks import EventHook, Inline, delivery_for
from ._inbox import Parking
from ._incarnation import Incarnation
from ._life import Life
from ._specs import AnySupervisorSpec, ChildSpec, DynamicSupervisorSpec, SupervisorSpec
from ._supervisor import Supervisor
from ._tree import Tree
from ._watchdog import Watchdog

#: How long, in seconds, `open_supervisor` waits at its end for a hook that has not yet had all events.
FLUSH_SECONDS = 1.0


class _Root:
    """The owner of the root's incarnation: wakes the task that waits for it."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._parking = Parking()

    def inner(self, spec: AnySupervisorSpec, incarnation: Incarnation) -> Life:
        return Supervisor(spec, incarnation, self._tree)._life

    def came_up(self, incarnation: Incarnation) -> None:
        self._parking.wake()

    def ended(self, incarnation: Incarnation) -> None:
        self._parking.wake()

    def became_stuck(self, incarnation: Incarnation) -> None:
        """Nobody above waits: the block's end does, for as long as it takes."""

    def stop(self, reason: Exit = Shutdown()) -> None:
        raise AssertionError("the root has no supervisor")

    def on_down(self, incarnation: Incarnation, callback: Callable[[Exit], object]) -> None:
        raise AssertionError("the root is a supervisor")

    def spawn(self, function: Callable[..., Awaitable[object]], *args: object) -> None:
        raise AssertionError("the root is a supervisor")

    async def wait_until_up_or_ended(self, incarnation: Incarnation) -> None:
        while not incarnation.was_up and incarnation.alive:
            await self._parking.wait()


@contextlib.asynccontextmanager
async def open_supervisor(
    spec: AnySupervisorSpec,
    *,
    name: str = "root",
    on_event: EventHook | Inline | None = None,
    grace: float = 5.0,
    random: Random | None = None,
    watchdog: float | None = None,
    shared: object = None,
) -> AsyncIterator[Supervisor]:
    """Start a supervision tree, run the block with its root, and stop the tree in order at the end of the block.

    Entering waits until all first children are up. Leaving, however it comes about, stops the children one by one in
    reverse start order, each within its bound, and waits for all of them; under an outer cancellation bounds without
    end become `grace` seconds, and `Cancelled` passes only when the children are gone.

    `name` is the root's path. `on_event` gets every event, in a thread of its own, or on the loop as `Inline(hook)`.
    `random` is the randomness of the backoffs. With `watchdog` a thread tells, as a `LoopBlocked` event, which task has
    held up the loop for so many (real) seconds. `shared` is for all children to reach, as `handle.shared`.

    Raises `ChildStartFailed` if a first child does not come up (what had started is stopped again),
    `RestartIntensityExceeded` if the root gives up and `ChildEscalated` if an error was escalated to it: both cancel
    the block. An automatic shutdown and `stop()` cancel the block and end it without an error: see `Supervisor.exit`.
    KeyboardInterrupt, SystemExit and the like in a child stop the tree and come out as they are. If there is more than
    one error, one group has them all.
    """
    if not isinstance(spec, SupervisorSpec | DynamicSupervisorSpec):
        raise BadSpec(f"open_supervisor takes a SupervisorSpec or a DynamicSupervisorSpec, not {spec!r}")
    root_spec = ChildSpec(name, spec)
    delivery = delivery_for(on_event)
    tree = Tree(delivery, random or Random(), grace, shared)
    owner = _Root(tree)
    incarnation = Incarnation(owner, root_spec, name, tree, shield=False)
    errors: list[BaseException] = []
    try:
        with _watched(watchdog, tree, incarnation):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(incarnation.run, name=name)
                await owner.wait_until_up_or_ended(incarnation)
                life = incarnation.supervisor
                if incarnation.was_up:
                    assert isinstance(life, Life)
                    assert isinstance(life.handle, Supervisor)
                    try:
                        with life.body_scope():
                            yield life.handle
                    except BaseException as error:
                        # A cancellation goes on at once: only the scopes around know whose it is, and the nursery's own
                        # is one of them. All else is raised below, when the tree has stopped.
                        cancelled, rest = split_cancelled(error)
                        if rest is not None:
                            errors.append(rest)
                        if cancelled is not None:
                            raise cancelled  # noqa: B904 -- it is `error`, or the part of it
                    life.stop()
    except BaseException as error:  # raised again below, beside what else there is
        errors.extend(leaves(error))
    if delivery is not None:
        await delivery.close(FLUSH_SECONDS)
    own = _error_for(incarnation)
    _raise([*([] if own is None else [own]), *errors])


def _watched(limit: float | None, tree: Tree, incarnation: Incarnation) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if limit is None else Watchdog(limit, tree, incarnation).watching()


def _error_for(incarnation: Incarnation) -> BaseException | None:
    """What the root's own end raises, apart from what its task has raised already."""
    exit: Exit | None = incarnation.exit
    life = incarnation.supervisor
    match exit:
        case _ if incarnation.fatal:
            # What passed through came out of the nursery; a failure that it found under way is not lost for it.
            return life.own_error() if isinstance(life, Life) else None
        case Error(ChildStartFailed() as error):
            return error
        case Error(error) if not incarnation.was_up:
            return ChildStartFailed(incarnation.path, error)
        case Error(error) if isinstance(life, Life) and life.escalated_from is not None:
            return ChildEscalated(life.escalated_from, error)
        case Error(error):
            return error
        case Shutdown(RestartIntensityExceeded() as error):
            return error
        case _:
            return None


def _raise(errors: Sequence[BaseException]) -> None:
    """Raise the errors: nothing for none, one as it is, more as one group."""
    kept: list[BaseException] = []
    for error in errors:
        # One interrupt, one cancellation says it all: a second Ctrl-C during the stop is no second error.
        repeated = isinstance(error, trio.Cancelled | KeyboardInterrupt) and any(
            isinstance(other, type(error)) for other in kept
        )
        if not repeated and all(error is not other for other in kept):
            kept.append(error)
    if len(kept) == 1:
        raise kept[0]
    if kept:
        raise BaseExceptionGroup("the supervision tree and its block ended with several errors", kept)
