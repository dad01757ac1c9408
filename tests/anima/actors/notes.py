"""Actors that note what they are told."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import trio

from anima.actors import Actor, ActorRef, ActorSpec, Request, Stop, System, message, receive
from tests.anima.actors.puppets import Do


@message
class Note(Request[str]):
    """Noted by the actor; `then` runs in the handler and may raise."""

    text: str
    then: Callable[[Any], object] | None = None


@message
class Wait:
    seconds: float


@message
class Unstash:
    pass


class Notes(Actor[Note | Wait | Unstash | Stop]):
    def __init__(self, log: list[str]) -> None:
        self.log = log

    @receive
    async def note(self, message: Note) -> str:
        self.log.append(message.text)
        if message.then is not None:
            message.then(self)
        return message.text

    @receive
    async def wait(self, message: Wait) -> None:
        await trio.sleep(message.seconds)

    @receive
    async def bring_back(self, message: Unstash) -> None:
        self.unstash()


class Plain(Actor[Do | Note | Wait | Stop]):
    """Notes what it is told, and does what it is told to."""

    def __init__(self, log: list[str] | None = None) -> None:
        self.log = [] if log is None else log

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)

    @receive
    async def note(self, message: Note) -> str:
        self.log.append(message.text)
        return message.text

    @receive
    async def wait(self, message: Wait) -> None:
        await trio.sleep(message.seconds)


def crash(_: object) -> None:
    raise ValueError("broken")


async def notes(system: System, log: list[str], **more: Any) -> ActorRef[Note | Wait | Unstash | Stop]:
    return await system.spawn(ActorSpec("notes", functools.partial(Notes, log), **more))
