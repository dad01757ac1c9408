"""A task beside a block, without the group that a nursery would make of what the block raises."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import trio

from ._exits import split_cancelled


@contextlib.asynccontextmanager
async def beside(function: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Run `function()` in a task as long as the block runs, and cancel it then.

    What the block raises comes out as it is. What the task raises cancels the block, and comes out as a group.
    """
    failure: BaseException | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(function)
        try:
            yield
        except BaseException as error:
            # The nursery would wrap it. A cancellation goes on at once, all else is raised below.
            cancelled, failure = split_cancelled(error)
            if cancelled is not None:
                raise
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
