"""A child with children of its own."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    ChildNotFound,
    ChildSpec,
    ChildStartFailed,
    DynamicSupervisorSpec,
    Error,
    Exited,
    Handle,
    Inline,
    Killed,
    Never,
    Restart,
    RestartIntensityExceeded,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, OnStop, Puppet, Start


class Parent:
    """A child that starts a supervisor of its own and then does as it is told."""

    def __init__(self, spec: SupervisorSpec | DynamicSupervisorSpec = DynamicSupervisorSpec()) -> None:
        self.spec = spec
        self.own: Supervisor | None = None
        self.crash = trio.Event()

    async def run(self, *, handle: Handle, stop: Any, task_status: Any) -> None:
        self.crash = trio.Event()
        self.own = await handle.supervise(self.spec)
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._crash_when_told)
            await stop.wait()
            nursery.cancel_scope.cancel()

    async def _crash_when_told(self) -> None:
        await self.crash.wait()
        raise ValueError("told to")


async def sleep(**_: object) -> None:
    await trio.sleep_forever()


async def test_own_children_live_below_the_child_in_paths_and_snapshot() -> None:
    parent = Parent(SupervisorSpec(children=[ChildSpec("worker", sleep)]))
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("parent", parent.run)])) as root:
        [shown] = root.snapshot().children
        assert shown.kind == "task"
        assert [child.path for child in shown.children] == ["root/parent/worker"]
        assert root.find("parent") is parent.own
        assert await root.find("parent").count_children()


async def test_own_children_stop_before_the_exit_of_the_child_is_told() -> None:
    log = EventLog()
    parent = Parent(SupervisorSpec(children=[ChildSpec("a", sleep), ChildSpec("b", sleep)]))
    spec = SupervisorSpec(children=[ChildSpec("parent", parent.run)])
    async with open_supervisor(spec, on_event=Inline(log)):
        pass
    assert log.paths(Exited) == ["root/parent/b", "root/parent/a", "root/parent", "root"]


async def test_a_crash_stops_the_own_children_and_the_restart_has_new_ones() -> None:
    log = EventLog()
    parent = Parent(SupervisorSpec(children=[ChildSpec("worker", sleep)]))
    spec = SupervisorSpec(children=[ChildSpec("parent", parent.run)])
    async with open_supervisor(spec, on_event=Inline(log)) as root:
        before = parent.own
        parent.crash.set()
        await wait_all_tasks_blocked()
        assert log.paths(Exited) == ["root/parent/worker", "root/parent"]
        assert parent.own is not before
        assert root.find("parent") is parent.own
        assert [child.state.value for child in root.snapshot().children[0].children] == ["up"]


async def test_an_own_supervisor_that_gives_up_ends_the_child_with_its_error() -> None:
    log = EventLog()
    worker = Puppet()
    parent = Parent(SupervisorSpec(intensity=0, children=[ChildSpec("worker", worker.run)]))
    spec = SupervisorSpec(children=[ChildSpec("parent", parent.run, Restart.TEMPORARY)])
    async with open_supervisor(spec, on_event=Inline(log)):
        worker.fail()
        await wait_all_tasks_blocked()
    [exit] = [event.exit for event in log.of(Exited) if event.path == "root/parent"]
    assert isinstance(exit, Error)
    assert isinstance(exit.exception, RestartIntensityExceeded)


async def test_an_own_child_that_does_not_start_is_the_childs_to_deal_with() -> None:
    caught: list[BaseException] = []

    async def parent(*, handle: Handle, task_status: Any) -> None:
        with pytest.raises(ChildStartFailed) as info:
            await handle.supervise(SupervisorSpec(children=[ChildSpec("worker", Puppet([Start.FAIL]).run)]))
        caught.append(info.value)
        await handle.supervise(DynamicSupervisorSpec())
        task_status.started()
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("parent", parent)])):
        assert len(caught) == 1


async def test_a_second_supervisor_of_its_own_is_refused() -> None:
    async def parent(*, handle: Handle, task_status: Any) -> None:
        await handle.supervise(DynamicSupervisorSpec())
        with pytest.raises(RuntimeError, match="root/parent has a supervisor of its own already"):
            await handle.supervise(DynamicSupervisorSpec())
        task_status.started()
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("parent", parent)])) as root:
        with pytest.raises(ChildNotFound):
            root.find("parent/nobody")


async def test_own_children_without_a_bound_are_hurried_when_the_child_outlives_its_stop(
    autojump_clock: MockClock,
) -> None:
    deaf = Puppet(on_stop=OnStop.STUBBORN)
    parent = Parent(SupervisorSpec(children=[ChildSpec("worker", deaf.run, shutdown=Never())]))
    log = EventLog()
    async with open_supervisor(
        SupervisorSpec(children=[ChildSpec("parent", parent.run)]), on_event=Inline(log), grace=0.5
    ) as root:
        began = trio.current_time()
        await root.terminate_child("parent")
        assert trio.current_time() - began == 5.5  # 5 s to stop, then the grace
    exits = {event.path: event.exit for event in log.of(Exited)}
    assert isinstance(exits["root/parent/worker"], Killed)


async def test_an_outer_cancellation_stops_own_children_in_order_and_passes() -> None:
    log = EventLog()
    parent = Parent(SupervisorSpec(children=[ChildSpec("a", sleep), ChildSpec("b", sleep)]))
    with trio.CancelScope() as scope:
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("parent", parent.run)]), on_event=Inline(log)):
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert log.paths(Exited) == ["root/parent/b", "root/parent/a", "root/parent", "root"]


async def test_an_own_child_that_would_stop_its_parent_is_told_that_it_cannot() -> None:
    """It would wait for itself; without the walk through the own supervisor it would wait until its bound."""
    seen: list[str] = []

    async with open_supervisor(DynamicSupervisorSpec()) as root:

        async def worker(*, stop: Any) -> None:
            try:
                await root.terminate_child("parent")
            except Exception as error:
                seen.append(type(error).__name__)
                raise

        parent = Parent(SupervisorSpec(children=[ChildSpec("worker", worker, Restart.TEMPORARY)]))
        await root.start_child(ChildSpec("parent", parent.run))
        await wait_all_tasks_blocked()
    assert seen == ["SupervisorDeadlock"]


async def test_what_is_shared_with_the_tree_reaches_every_child_and_so_does_its_place() -> None:
    seen: list[object] = []

    async def run(*, handle: Handle) -> None:
        seen.append((handle.shared, handle.path, handle.incarnation))
        await trio.sleep_forever()

    inner = SupervisorSpec(children=[ChildSpec("a", run)])
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("inner", inner)]), shared="ours"):
        await wait_all_tasks_blocked()
    assert seen == [("ours", "root/inner/a", 1)]


async def test_a_stop_request_can_be_waited_for_again_and_by_many(autojump_clock: MockClock) -> None:
    over: list[str] = []

    async def wait(stop: Any, name: str) -> None:
        with trio.move_on_after(0.01):
            await stop.wait()
        await stop.wait()
        over.append(name)

    async def run(*, stop: Any) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait, stop, "a")
            nursery.start_soon(wait, stop, "b")

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", run)])):
        await trio.sleep(0.02)
    assert sorted(over) == ["a", "b"]


async def test_a_stop_request_calls_back_at_once_also_where_it_has_come_before() -> None:
    calls: list[str] = []

    async def run(*, stop: Any) -> None:
        stop.call_when_set(lambda: calls.append("before"))
        await stop.wait()
        stop.call_when_set(lambda: calls.append("after"))

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", run)])):
        await wait_all_tasks_blocked()
    assert calls == ["before", "after"]


async def test_an_own_child_that_is_stuck_in_a_failed_start_does_not_make_the_parent_stuck(
    autojump_clock: MockClock,
) -> None:
    deaf = Puppet(on_stop=OnStop.DEAF)
    spec = SupervisorSpec(children=[ChildSpec("deaf", deaf.run), ChildSpec("bad", Puppet([Start.FAIL]).run)])

    async def parent(*, handle: Handle, task_status: Any) -> None:
        async with trio.open_nursery() as nursery:
            with trio.move_on_after(20):
                await handle.supervise(spec)
            nursery.cancel_scope.cancel()
        task_status.started()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:

        async def release_later() -> None:
            await trio.sleep(10)
            deaf.release()

        nursery.start_soon(release_later)
        async with open_supervisor(DynamicSupervisorSpec()) as root:
            with pytest.raises(ChildStartFailed, match="told to fail at its start"):
                await root.start_child(ChildSpec("parent", parent))


async def test_what_a_child_raises_in_its_cleanup_comes_out_although_it_has_children_of_its_own() -> None:
    async def parent(*, handle: Handle) -> None:
        await handle.supervise(SupervisorSpec(children=[ChildSpec("worker", sleep)]))
        try:
            await trio.sleep_forever()
        finally:
            raise SystemExit(3)

    with pytest.raises(SystemExit):
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("parent", parent)])):
            await wait_all_tasks_blocked()


async def test_a_start_that_the_loop_held_up_for_longer_than_its_timeout_is_up_all_the_same() -> None:
    """Its deadline has passed before it is marked as up; it used to be neither up nor restarted ever after."""

    async def child() -> None:
        await trio.sleep_forever()

    async with open_supervisor(DynamicSupervisorSpec()) as root:
        await root.start_child(ChildSpec("a", child, start_timeout=1e-9))
        assert [one.state.value for one in await root.which_children()] == ["up"]
