"""The supervisor that a child starts for children of its own, inside its incarnation.

It runs in a task beside the child's, in the nursery of the child's supervisor, shielded as the child is. Invariants,
guarded by tests/supervisors/test_own_children.py: it ends before the child's exit is told, whatever ended the child;
if it gives up, the child ends with that error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from ._exits import Error, Exit, Shutdown, error_of


class Life(Protocol):
    """The supervisor to run."""

    ending: Exit | None

    def stop(self, reason: Exit = ...) -> None: ...
    def hurry(self) -> None: ...


class Below:
    """One supervisor of a child's own, from its start to its end."""

    __slots__ = ("_ended", "_error", "_scope", "_stopping", "_up", "life")

    def __init__(self, life: Life) -> None:
        self.life = life
        self._scope = trio.CancelScope(shield=True)
        self._up = trio.Event()
        self._ended = trio.Event()
        self._stopping = False
        self._error: BaseException | None = None

    @property
    def over(self) -> bool:
        return self._ended.is_set()

    def came_up(self) -> None:
        self._up.set()

    async def wait_until_up(self) -> None:
        """Wait until its first children are up. Raises what kept them from it. Cancelled, it is stopped."""
        try:
            await self._up.wait()
        except BaseException:
            self._scope.cancel(reason="the start of a child's own supervisor was cancelled")
            with trio.CancelScope(shield=True):  # hurried: see `end`
                await self._ended.wait()
            raise
        if self._error is not None:
            raise self._error

    async def run(self, run: Callable[[], object], gave_up: Callable[[Exit], None]) -> None:
        """The task: `run` the supervisor's life. `gave_up` is called if it ends by itself, with an error."""
        try:
            with self._scope:
                exit = await run()  # type: ignore[misc]
                error = error_of(exit)
                if error is not None and not self._stopping:
                    gave_up(Error(error) if isinstance(exit, Shutdown) else exit)
        except Exception as error:  # it did not come up: whoever waits for that gets it
            self._error = error
        finally:
            self._ended.set()
            self._up.set()

    async def end(self) -> None:
        """Stop its children in order and wait for its end. Cancelled, it hurries, and the cancellation passes then."""
        self._stopping = True
        self.life.stop()
        try:
            await self._ended.wait()
        except BaseException:
            self._scope.cancel(reason="its child was cancelled")
            with trio.CancelScope(shield=True):  # hurried: every child of it has a bound now, at most the grace
                await self._ended.wait()
            raise
