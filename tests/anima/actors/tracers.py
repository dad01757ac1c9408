"""Actors that note the trace of what they handle."""

from __future__ import annotations

from typing import Any

from anima.actors import Actor, ActorRef, Request, Stop, TooManyHops, message, receive
from tests.anima.actors.puppets import Do


@message
class Note:
    text: str


@message
class Pass(Request[int]):
    """Goes to and fro between two actors, as a `how`; the reply is how often it did."""

    to: ActorRef[Any]
    how: str


class Player(Actor[Do | Note | Pass | Stop]):
    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)

    @receive
    async def note(self, message: Note) -> None:
        self.log.append((message.text, self.trace))

    @receive
    async def go_on(self, message: Pass) -> int:
        self.log.append(self.trace)
        back = Pass(self.ref, message.how)
        try:
            match message.how:
                case "tell":
                    message.to.tell(back)
                case "put":
                    await message.to.put(back)
                case _:
                    await message.to.ask(back)
        except TooManyHops as error:
            self.log.append(error)
        return 0


def tell(ref: ActorRef[Any], *messages: object) -> Do:
    async def code(_: object) -> None:
        for one in messages:
            ref.tell(one)

    return Do(code)
