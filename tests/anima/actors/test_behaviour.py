"""An actor that becomes something else."""

from __future__ import annotations

from typing import Any

import pytest

from anima.actors import Actor, BadActor, Request, message, open_system, receive
from tests.anima.actors.puppets import Do, Plain, fail


@message
class Turn(Request[str]):
    pass


@message
class TurnHard(Turn):
    pass


class Lamp(Actor[Turn | Do]):
    @receive
    async def turn(self, message: Turn) -> str:
        self.become(Lit)
        return "on"

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)


class Lit(Lamp):
    @receive
    async def turn(self, message: Turn) -> str:
        self.become(Lamp)
        return "off"


async def test_an_actor_that_becomes_something_else_handles_the_next_message_by_it() -> None:
    async with open_system() as system:
        lamp = await system.spawn("lamp", Lamp)
        assert [await lamp.ask(kind()) for kind in (Turn, TurnHard, TurnHard, Turn)] == ["on", "off", "on", "off"]


async def test_a_restart_begins_with_the_original_behaviour() -> None:
    async with open_system() as system:
        lamp = await system.spawn("lamp", Lamp)
        assert await lamp.ask(Turn()) == "on"
        lamp.tell(Do(fail))
        assert await lamp.ask(Turn()) == "on"


async def test_a_behaviour_is_a_subclass_of_the_actors_class() -> None:
    async def wrong(actor: Lamp) -> None:
        with pytest.raises(BadActor, match="Plain is no subclass of Lamp"):
            actor.become(Plain)

    async with open_system() as system:
        lamp = await system.spawn("lamp", Lamp)
        await lamp.ask(Do(wrong))
