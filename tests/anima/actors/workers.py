"""A worker that says what becomes of its work."""

from __future__ import annotations

from typing import Any

import trio

from anima.actors import Actor, Request, Stop, message, receive
from tests.anima.actors.puppets import Do


@message
class Double(Request[int]):
    n: int


@message
class DoubleTwice(Double):
    pass


@message
class Work(Request[str]):
    """Takes so many seconds."""

    name: str
    seconds: float = 0.0


class Worker(Actor[Double | Work | Do | Stop]):
    """Notes what becomes of its work."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.log = [] if log is None else log

    @receive
    async def double(self, message: Double) -> int:
        return 2 * message.n

    @receive
    async def work(self, message: Work) -> str:
        self.log.append(f"began {message.name}")
        try:
            await trio.sleep(message.seconds)
        except trio.Cancelled:
            self.log.append(f"cut {message.name}")
            raise
        self.log.append(f"did {message.name}")
        return message.name

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)
