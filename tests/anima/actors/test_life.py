"""The end of an actor: told to, by itself, by the system."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import ActorRef, ActorSpec, ActorStopped, NotAccepted, Stop, open_system
from anima_supervisors import Exit, Never, Shutdown
from tests.anima.actors.puppets import Do, Mortal, Plain, Tick, sleep


async def test_an_actor_that_declares_stop_ends_for_good_after_what_it_handles(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        ref = await system.spawn("actor", Plain)
        ref.tell(sleep(3))
        await wait_all_tasks_blocked()
        ref.tell(Tick())
        ref.tell(Stop())
        exit = await ref.wait_ended()
        assert isinstance(exit, Shutdown)
        assert exit.final
        assert trio.current_time() == 3
        assert [letter.message for letter in system.dead_letters] == [Tick()]
        await ref.wait_ended()


async def test_a_stop_that_is_put_ends_the_actor_too_and_is_no_dead_letter() -> None:
    async with open_system() as system:
        ref = await system.spawn("actor", Plain)
        await ref.put(Stop())
        await ref.wait_ended()
        assert len(system.dead_letters) == 0


async def test_stop_is_refused_by_actors_that_do_not_declare_it() -> None:
    async with open_system() as system:
        ref: ActorRef[Any] = await system.spawn("actor", Mortal)
        with pytest.raises(NotAccepted, match="does not accept Stop"):
            ref.tell(Stop())
        assert not ref.ended


async def test_an_actor_can_end_itself_when_it_has_handled_its_message() -> None:
    async def stop(actor: Mortal) -> str:
        actor.stop("had enough")
        return "goodbye"

    exits: list[Exit | None] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await system.spawn("actor", Mortal)

        @nursery.start_soon
        async def wait() -> None:
            exits.append(await ref.wait_ended())

        await wait_all_tasks_blocked()
        assert await ref.ask(Do(stop)) == "goodbye"
    assert exits == [Shutdown("had enough", final=True)]


async def test_the_system_stops_an_actor_and_waits_until_it_is_gone(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        ref = await system.spawn(ActorSpec("actor", Plain, shutdown=Never()))
        ref.tell(sleep(30))
        await wait_all_tasks_blocked()
        await system.stop(ref)
        assert trio.current_time() == 30
        assert ref.ended
        with pytest.raises(ActorStopped, match="home/actor"):
            await system.stop(ref)
