"""The same loop by hand on asyncio: what the runtimes that stand on it begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from tests.benchmarks.agents.by_httpx import Loop, make_client
from tests.benchmarks.agents.workloads import Figures, Row, Turn, measured


async def gather(tasks: Sequence[Callable[[], Awaitable[None]]]) -> None:
    await asyncio.gather(*(task() for task in tasks))


def run(url: str, row: Row, warm_up: int) -> Figures:
    async def main() -> Figures:
        async with make_client() as client:

            async def make(number: int) -> Turn:
                return Loop(client, url).turn

            return await measured(row, warm_up, make, gather)

    return asyncio.run(main())
