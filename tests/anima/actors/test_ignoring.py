"""An actor that says it is not wanted: by `Ignore`, in its `__init__` or in `started`, at its start or at a restart."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

from anima.actors import Actor, ActorSpec, PoolSpec, Reason, message, open_system, receive
from anima_supervisors import Exited, Ignore, Inline, StartIgnored, State, SupervisorSpec
from anima_supervisors.testing import EventLog


@message
class Crash:
    error: type[Exception] = ValueError


class Wanted:
    """How often it is wanted."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.crashes: list[Exception] = []

    def check(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise Ignore


class Made(Actor[Crash]):
    def __init__(self, wanted: Wanted) -> None:
        wanted.check()
        self.wanted = wanted

    async def crashed(self, message: object, error: Exception) -> None:
        self.wanted.crashes.append(error)

    @receive
    async def crash(self, message: Crash) -> None:
        raise message.error


class Started(Actor[Crash]):
    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted

    async def started(self) -> None:
        self.wanted.check()

    async def crashed(self, message: object, error: Exception) -> None:
        self.wanted.crashes.append(error)

    @receive
    async def crash(self, message: Crash) -> None:
        raise message.error


@pytest.mark.parametrize("kind", [Made, Started])
async def test_at_its_start_it_has_ended_and_nothing_failed(kind: Any) -> None:
    wanted = Wanted(0)
    async with open_system() as system:
        ref = await system.spawn("actor", kind, wanted)
        assert ref.ended
        assert system.actors() == ()
        assert await system.supervisor.which_children() == []
    assert wanted.crashes == []


@pytest.mark.parametrize("kind", [Made, Started])
async def test_at_a_restart_it_has_ended_and_what_was_for_it_is_left_over(kind: Any) -> None:
    wanted, events = Wanted(1), EventLog()
    async with open_system(on_event=Inline(events)) as system:
        ref = await system.spawn("actor", kind, wanted)
        ref.tell(Crash())
        ref.tell(Crash())
        await wait_all_tasks_blocked()
        assert ref.ended
        assert [letter.reason for letter in system.dead_letters] == [Reason.QUARANTINED, Reason.LEFT_OVER]
        assert events.paths(Exited, StartIgnored) == ["home/actor", "home/actor"]
        assert await system.supervisor.which_children() == []
    assert wanted.left == -1
    assert [type(error) for error in wanted.crashes] == [ValueError]


@pytest.mark.parametrize("kind", [Made, Started])
async def test_in_a_tree_its_spec_stays_and_it_can_be_started_again(kind: Any) -> None:
    wanted = Wanted(1)
    spec = SupervisorSpec(children=[ActorSpec("actor", functools.partial(kind, wanted)).child()])
    async with open_system(spec) as system:
        ref = system.ref("home/actor")
        ref.tell(Crash())
        await wait_all_tasks_blocked()
        assert ref.ended
        assert [child.state for child in await system.supervisor.which_children()] == [State.DOWN]
        wanted.left = 1
        await system.supervisor.restart_child("actor")
        assert not ref.ended


@pytest.mark.parametrize("kind", [Made, Started])
async def test_a_pool_goes_on_with_the_other_members(kind: Any) -> None:
    wanted = Wanted(2)
    async with open_system() as system:
        pool = await system.spawn(PoolSpec(ActorSpec("pool", functools.partial(kind, wanted)), 2))
        pool.tell(Crash())
        await wait_all_tasks_blocked()
        assert not pool.ended
        assert [ref.path for ref in system.actors()] == ["home/pool", "home/pool/2"]


@pytest.mark.parametrize("kind", [Made, Started])
async def test_a_handler_that_raises_it_has_crashed_as_by_any_other_error(kind: Any) -> None:
    wanted = Wanted(2)
    async with open_system() as system:
        ref = await system.spawn("actor", kind, wanted)
        ref.tell(Crash(Ignore))
        await wait_all_tasks_blocked()
        assert not ref.ended
        assert wanted.left == 0
        assert [type(error) for error in wanted.crashes] == [Ignore]
