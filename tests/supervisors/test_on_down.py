"""When a child is told to be down for good."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    Backoff,
    ChildSpec,
    ChildStartFailed,
    DynamicSupervisorSpec,
    Error,
    Exit,
    Handle,
    Normal,
    Restart,
    Shutdown,
    State,
    Strategy,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import Puppet, Start, held


class Told:
    """A child that notes the exits that it is told to be down with."""

    def __init__(self, puppet: Puppet | None = None) -> None:
        self.puppet = puppet or Puppet()
        self.exits: list[Exit] = []

    async def run(self, *, handle: Handle, stop: Any, task_status: Any) -> None:
        handle.on_down(self.exits.append)
        await self.puppet.run(stop=stop, task_status=task_status)


async def test_down_is_not_told_while_a_restart_follows(autojump_clock: MockClock) -> None:
    told = Told()
    spec = SupervisorSpec(backoff=Backoff(initial=1, maximum=1), children=[ChildSpec("a", told.run)])
    async with open_supervisor(spec):
        told.puppet.fail()
        await wait_all_tasks_blocked()
        assert told.exits == []
        await trio.sleep(2)
        assert told.exits == []
    assert told.exits == [Shutdown()]


@pytest.mark.parametrize("restart", [Restart.TRANSIENT, Restart.TEMPORARY])
async def test_down_is_told_when_the_restart_type_says_that_it_stays_so(restart: Restart) -> None:
    told = Told()
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", told.run, restart)])):
        told.puppet.finish()
        await wait_all_tasks_blocked()
        assert told.exits == [Normal()]
    assert told.exits == [Normal()]


async def test_down_is_told_by_terminate_child_and_again_after_restart_child() -> None:
    told = Told()
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", told.run)])) as root:
        await root.terminate_child("a")
        assert told.exits == [Shutdown()]
        await root.restart_child("a")
        assert told.exits == [Shutdown()]
    assert told.exits == [Shutdown(), Shutdown()]


async def test_a_sibling_that_is_restarted_with_its_group_is_not_down() -> None:
    told, other = Told(), Puppet()
    spec = SupervisorSpec(strategy=Strategy.ONE_FOR_ALL, children=[ChildSpec("a", told.run), ChildSpec("b", other.run)])
    async with open_supervisor(spec):
        other.fail()
        await wait_all_tasks_blocked()
        assert told.exits == []


@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
async def test_down_is_told_to_all_that_were_to_be_restarted_with_a_child_that_is_terminated(
    strategy: Strategy, mock_clock: MockClock
) -> None:
    named = {id: Told() for id in "abc"}
    children = [ChildSpec(id, told.run) for id, told in named.items()]
    spec = SupervisorSpec(strategy=strategy, backoff=Backoff(1, 1, 1, 0), children=children)
    async with open_supervisor(spec) as root:
        named["b"].puppet.fail()
        await wait_all_tasks_blocked()
        await root.terminate_child("b")
        assert [len(told.exits) for told in named.values()] == [strategy is Strategy.ONE_FOR_ALL, 1, 1]
        mock_clock.jump(2)
        await wait_all_tasks_blocked()
        assert (await root.count_children()).active == (strategy is Strategy.REST_FOR_ONE)
    assert [len(told.exits) for told in named.values()] == [1, 1, 1]


async def test_down_is_told_to_who_comes_after_a_child_whose_start_fails_and_that_is_terminated() -> None:
    first, broken, last = Told(), Told(Puppet([Start.OK] + [Start.FAIL] * 100)), Told()
    children = [ChildSpec(id, told.run) for id, told in zip("abc", (first, broken, last), strict=True)]
    spec = SupervisorSpec(strategy=Strategy.ONE_FOR_ALL, intensity=100, children=children)
    async with open_supervisor(spec) as root, trio.open_nursery() as nursery:
        with held(root):
            broken.puppet.fail()
            await wait_all_tasks_blocked()
            nursery.start_soon(root.terminate_child, "b")
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert [node.state for node in root.snapshot().children] == [State.UP, State.DOWN, State.DOWN]
        assert [len(told.exits) for told in (first, broken, last)] == [0, 1, 1]


async def test_down_is_not_told_to_a_sibling_that_another_restart_starts(mock_clock: MockClock) -> None:
    named = {id: Told() for id in "abc"}
    children = [ChildSpec(id, told.run) for id, told in named.items()]
    spec = SupervisorSpec(strategy=Strategy.REST_FOR_ONE, backoff=Backoff(1, 1, 1, 0), children=children)
    async with open_supervisor(spec) as root:
        named["a"].puppet.fail()
        await wait_all_tasks_blocked()
        await root.restart_child("b")
        named["b"].puppet.fail()
        await wait_all_tasks_blocked()
        await root.terminate_child("b")  # with `a` it is started again, and so is `c`
        assert named["c"].exits == []
        mock_clock.jump(1)
        await wait_all_tasks_blocked()
        assert [node.state for node in root.snapshot().children] == [State.UP] * 3
        assert named["c"].exits == []


async def test_children_are_down_one_after_the_other_when_their_supervisor_stops() -> None:
    order: list[str] = []

    def child(id: str) -> ChildSpec:
        async def run(*, handle: Handle) -> None:
            handle.on_down(lambda _: order.append(f"{id} down"))
            try:
                await trio.sleep_forever()
            finally:
                order.append(f"{id} ends")

        return ChildSpec(id, run)

    async with open_supervisor(SupervisorSpec(children=[child("a"), child("b")])):
        await wait_all_tasks_blocked()
    assert order == ["b ends", "b down", "a ends", "a down"]


async def test_a_first_start_that_fails_is_down() -> None:
    exits: list[Exit] = []

    async def run(*, handle: Handle, task_status: Any) -> None:
        handle.on_down(exits.append)
        raise ValueError("no")

    async with open_supervisor(DynamicSupervisorSpec()) as root:
        with pytest.raises(ChildStartFailed):
            await root.start_child(ChildSpec("a", run))
        [exit] = exits
        assert isinstance(exit, Error)


async def test_what_the_callback_raises_is_reported_and_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    reported: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", reported.append)

    def fail(_: Exit) -> None:
        raise ValueError("bad callback")

    async def run(*, handle: Handle) -> None:
        handle.on_down(fail)
        await trio.sleep_forever()

    told = Told()
    spec = SupervisorSpec(children=[ChildSpec("a", told.run), ChildSpec("b", run), ChildSpec("c", run)])
    async with open_supervisor(spec) as root:
        await wait_all_tasks_blocked()
        await root.terminate_child("c")
        assert (await root.count_children()).active == 2
    assert [str(args.exc_value) for args in reported] == ["bad callback", "bad callback"]
    assert ["root/c" in args.exc_value.__notes__[0] for args in reported] == [True, False]
    assert told.exits == [Shutdown()]
