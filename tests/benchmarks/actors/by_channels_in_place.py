"""By hand on bare Trio, the shorter way to mend a crash: the actor's own task runs it again in a loop.

There is no supervisor that would know of the crash or could do anything about the siblings.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from tests.benchmarks.actors.by_channels import RequestInbox, answer, measure_restarts
from tests.benchmarks.actors.workloads import SIBLINGS


async def _again_and_again(inbox: RequestInbox) -> None:
    while True:
        try:
            return await answer(inbox)
        except Exception:
            continue


async def _supervise(inboxes: Sequence[RequestInbox]) -> None:
    async with trio.open_nursery() as nursery:
        for inbox in inboxes:
            nursery.start_soon(_again_and_again, inbox)


def restart(count: int) -> float:
    """The same task goes on with the same channel."""
    return measure_restarts(count, 0, _supervise)


def restart_among_1000(count: int) -> float:
    """The siblings have loops of their own."""
    return measure_restarts(count, SIBLINGS, _supervise)
