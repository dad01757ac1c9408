"""Names: one living actor each, gone before its restart begins."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import Actor, ActorStopped, message, open_system, receive
from anima.hub import Hub, NameTaken, NameUnknown


@message
class Crash:
    """Crashes who gets it."""


class Plain(Actor[Crash]):
    @receive
    async def crash(self, message: Crash) -> None:
        raise ValueError("told to")


async def test_a_name_leads_to_its_actor() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        assert hub.whereis("printer") is None
        ref = await system.spawn("a", Plain)
        hub.register("printer", ref)
        assert hub.whereis("printer") == ref
        hub.unregister("printer")
        assert hub.whereis("printer") is None


async def test_a_name_that_a_living_actor_has_is_taken() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        hub.register("printer", await system.spawn("a", Plain))
        other = await system.spawn("b", Plain)
        with pytest.raises(NameTaken, match="the name 'printer' belongs to home/a"):
            hub.register("printer", other)


async def test_a_name_vanishes_before_the_restart_of_its_actor_begins() -> None:
    seen: list[object] = []

    class Registers(Plain):
        async def started(self) -> None:
            hub = Hub.of(self.system)
            seen.append(hub.whereis("me"))
            hub.register("me", self.ref)

    async with open_system() as system:
        ref = await system.spawn("a", Registers)
        ref.tell(Crash())
        await wait_all_tasks_blocked()
        assert seen == [None, None]
        assert Hub.of(system).whereis("me") == ref
        await system.stop(ref)
        assert Hub.of(system).whereis("me") is None
        with pytest.raises(ActorStopped):
            Hub.of(system).register("me", ref)


async def test_waiting_for_a_name_ends_when_somebody_takes_it(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        ref = await system.spawn("a", Plain)
        found: list[object] = []

        async def wait() -> None:
            found.append(await hub.wait_for("late"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            nursery.start_soon(wait)
            await trio.sleep(1)
            hub.register("late", ref)
        assert found == [ref, ref]
        assert await hub.wait_for("late") == ref


async def test_waiting_for_a_name_that_nobody_takes_ends_in_time_and_leaves_nothing(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        began = trio.current_time()
        with pytest.raises(NameUnknown, match="nobody has taken the name 'x' within 3 s"):
            await hub.wait_for("x", timeout=3)
        assert trio.current_time() - began == 3
        assert not hub._names._awaited
