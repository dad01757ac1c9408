"""Actors without a will of their own: they do what their messages say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import trio

from anima.actors import Actor, Request, Stop, Terminated, message, receive


@message
class Do(Request[Any]):
    """Runs inside of the handler, with the actor."""

    code: Callable[[Any], Awaitable[Any]]


@message
class Tick:
    pass


class Plain(Actor[Do | Tick | Stop]):
    """Has no hooks, and is made in the task that spawns it."""

    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)

    @receive
    async def tick(self, message: Tick) -> None:
        self.log.append(trio.current_time())


class Mortal(Actor[Do]):
    """Does not declare `Stop`."""

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)


class Unborn(Plain):
    def __init__(self) -> None:
        raise ValueError("never")


class Watcher(Actor[Do | Terminated]):
    def __init__(self, log: list[Terminated]) -> None:
        self.log = log

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)

    @receive
    async def ended(self, message: Terminated) -> None:
        self.log.append(message)


async def idle(_: object) -> str:
    return "done"


async def forever(_: object) -> None:
    await trio.sleep_forever()


async def fail(_: object) -> None:
    raise ValueError("broken")


def sleep(seconds: float) -> Do:
    async def code(_: object) -> None:
        await trio.sleep(seconds)

    return Do(code)
