"""Children that an actor has of its own."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from anima.actors import AskFailed, open_system
from anima_supervisors import (
    ChildSpec,
    ChildStartFailed,
    DynamicSupervisorSpec,
    Error,
    Exited,
    Inline,
    RestartIntensityExceeded,
)
from anima_supervisors.testing import EventLog
from tests.anima.actors.puppets import Do, Plain, Unborn, fail, idle


class Parent(Plain):
    """Has a child from its start on."""

    async def started(self) -> None:
        await self.start_child(ChildSpec("task", trio.sleep_forever))


async def test_children_have_a_path_below_and_end_with_the_incarnation() -> None:
    async def spawn(actor: Plain) -> Any:
        return [await actor.spawn(id, Plain) for id in ("one", "two")]

    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        parent = await system.spawn("parent", Plain)
        one, two = await parent.ask(Do(spawn))
        assert [one.path, two.path] == ["home/parent/one", "home/parent/two"]
        with pytest.raises(AskFailed):
            await parent.ask(Do(fail))
        await parent.ask(Do(idle))
        assert one.ended
        assert two.ended
        assert events.paths(Exited)[-1] == "home/parent"
        assert sorted(events.paths(Exited)) == ["home/parent", "home/parent/one", "home/parent/two"]
        again = await parent.ask(Do(spawn))
        assert again == [one, two]
        await one.ask(Do(idle))  # the old address reaches the new child
        await system.stop(parent)
        assert one.ended


async def test_a_child_that_crashes_is_restarted_alone_and_too_often_ends_its_parent() -> None:
    class Strict(Plain):
        children = DynamicSupervisorSpec(intensity=1)

    async def spawn(actor: Plain) -> Any:
        return await actor.spawn("child", Plain)

    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        parent = await system.spawn("parent", Strict)
        child = await parent.ask(Do(spawn))
        child.tell(Do(fail))
        await child.ask(Do(idle))
        assert events.paths(Exited) == ["home/parent/child"]
        child.tell(Do(fail))
        await wait_all_tasks_blocked()
        assert child.ended
        [exited] = [event for event in events.of(Exited) if event.path == "home/parent"]
        assert isinstance(exited.exit, Error)
        assert isinstance(exited.exit.exception, RestartIntensityExceeded)
        await parent.ask(Do(idle))  # it is up again


async def test_a_child_that_does_not_start_is_its_parents_to_deal_with() -> None:
    async def spawn(actor: Plain) -> Any:
        with pytest.raises(ChildStartFailed, match="home/parent/child"):
            await actor.spawn("child", Unborn)
        return await actor.spawn("child", Plain)

    async with open_system() as system:
        parent = await system.spawn("parent", Plain)
        assert (await parent.ask(Do(spawn))).path == "home/parent/child"


async def test_any_child_can_live_below_an_actor() -> None:
    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        ref = await system.spawn("parent", Parent)
        await system.stop(ref)
        assert events.paths(Exited) == ["home/parent/task", "home/parent"]


async def test_two_children_can_be_spawned_at_once_by_one_handler() -> None:
    async def both(actor: Plain) -> list[str]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(actor.spawn, "a", Plain)
            nursery.start_soon(actor.spawn, "b", Plain)
        return sorted(ref.path for ref in actor.system.actors())

    async with open_system() as system:
        parent = await system.spawn("parent", Plain)
        assert await parent.ask(Do(both)) == ["home/parent", "home/parent/a", "home/parent/b"]
