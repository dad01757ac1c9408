"""Dynamic supervisors: templates, arguments, limits."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from anima_supervisors import (
    Args,
    BadSpec,
    ChildSpec,
    Counts,
    DynamicSupervisorSpec,
    MaxChildrenReached,
    SpecFactory,
    SupervisorSpec,
    UnsupportedByDynamic,
    Up,
    open_supervisor,
)


async def idle() -> None:
    await trio.sleep_forever()


async def test_children_of_a_template_get_their_own_arguments_and_keep_them_over_restarts() -> None:
    seen: list[str] = []

    async def serve(who: str) -> None:
        seen.append(who)
        if seen.count(who) == 1:
            raise ValueError
        await trio.sleep_forever()

    spec = DynamicSupervisorSpec(template=ChildSpec("serve", serve))
    async with open_supervisor(spec) as supervisor:
        assert await supervisor.start_child(Args("ada")) == Up("serve-1", 1)
        assert await supervisor.start_child(Args("bob", id="bob")) == Up("bob", 1)
        await wait_all_tasks_blocked()
        assert sorted(seen) == ["ada", "ada", "bob", "bob"]
        assert await supervisor.count_children() == Counts(specs=1, active=2, supervisors=0, workers=2)


async def test_a_dynamic_supervisor_keeps_no_spec_of_a_child_that_is_gone() -> None:
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        await supervisor.start_child(ChildSpec("a", idle))
        await supervisor.terminate_child("a")
        assert await supervisor.which_children() == []
        for call in (supervisor.restart_child, supervisor.delete_child):
            with pytest.raises(UnsupportedByDynamic):
                await call("a")


async def test_a_dynamic_supervisor_takes_no_more_than_max_children() -> None:
    async with open_supervisor(DynamicSupervisorSpec(max_children=1)) as supervisor:
        await supervisor.start_child(ChildSpec("a", idle))
        with pytest.raises(MaxChildrenReached, match="root"):
            await supervisor.start_child(ChildSpec("b", idle))
        with pytest.raises(MaxChildrenReached):
            await supervisor.run_task(idle)
        await supervisor.terminate_child("a")
        await supervisor.start_child(ChildSpec("b", idle))


async def test_a_template_takes_args_and_everything_else_takes_a_spec() -> None:
    spec = SupervisorSpec(
        children=[
            ChildSpec("pool", DynamicSupervisorSpec(template=ChildSpec("t", idle))),
            ChildSpec("any", DynamicSupervisorSpec()),
        ]
    )
    async with open_supervisor(spec) as supervisor:
        with pytest.raises(BadSpec, match="Args"):
            await supervisor.find("pool").start_child(ChildSpec("a", idle))
        with pytest.raises(BadSpec, match="ChildSpec"):
            await supervisor.find("any").start_child(Args())


async def test_the_arguments_of_a_template_go_to_its_factory_too() -> None:
    made: list[str] = []

    async def make(who: str) -> SupervisorSpec:
        made.append(who)
        return SupervisorSpec()

    spec = DynamicSupervisorSpec(template=ChildSpec("t", SpecFactory(make)))
    async with open_supervisor(spec) as supervisor:
        await supervisor.start_child(Args("ada", id="ada"))
        assert supervisor.find("ada").path == "root/ada"
    assert made == ["ada"]
