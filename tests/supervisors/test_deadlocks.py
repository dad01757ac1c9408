"""Calls of children on their own supervisor: those that could only wait for themselves are refused."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    After,
    ChildSpec,
    ChildStartFailed,
    ChildStuck,
    Counts,
    Exited,
    Inline,
    Restart,
    StopRequest,
    Strategy,
    SupervisorDeadlock,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, Puppet, check_log, held


async def idle() -> None:
    await trio.sleep_forever()


async def test_a_child_that_calls_its_own_supervisor_in_its_start_is_refused_at_once() -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor:

        async def start(*, task_status: Any) -> None:
            async with trio.open_nursery() as nursery:  # a task below counts as the child
                nursery.start_soon(supervisor.count_children)

        with pytest.raises(ChildStartFailed) as caught:
            await supervisor.start_child(ChildSpec("a", start))
    group = caught.value.__cause__
    assert isinstance(group, ExceptionGroup)
    assert isinstance(group.exceptions[0], SupervisorDeadlock)


async def test_a_child_deep_below_that_calls_a_supervisor_which_waits_for_its_subtree_is_refused() -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor:

        async def start(*, task_status: Any) -> None:
            await supervisor.count_children()

        inner = SupervisorSpec(children=[ChildSpec("x", start)])
        with pytest.raises(ChildStartFailed, match="root/in"):
            await supervisor.start_child(ChildSpec("in", inner))


async def test_a_child_that_calls_its_supervisor_while_it_is_stopped_is_refused() -> None:
    errors: list[BaseException] = []

    async with open_supervisor(SupervisorSpec()) as supervisor:

        async def start(*, stop: StopRequest) -> None:
            await stop.wait()
            try:
                await supervisor.count_children()
            except SupervisorDeadlock as error:
                errors.append(error)

        await supervisor.start_child(ChildSpec("a", start))
        await wait_all_tasks_blocked()
        await supervisor.terminate_child("a")
    assert len(errors) == 1


async def test_a_call_that_is_waiting_when_the_stop_of_its_caller_begins_is_refused_then(
    autojump_clock: MockClock,
) -> None:
    go = trio.Event()
    errors: list[BaseException] = []
    async with open_supervisor(SupervisorSpec()) as supervisor, trio.open_nursery() as nursery:

        async def start(*, stop: StopRequest) -> None:
            await go.wait()
            try:
                await supervisor.count_children()
            except SupervisorDeadlock as error:
                errors.append(error)

        await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY))
        before = trio.current_time()
        with held(supervisor):
            nursery.start_soon(supervisor.terminate_child, "a")
            await wait_all_tasks_blocked()
            go.set()
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert len(errors) == 1
        assert trio.current_time() == before  # it did not wait for its bound


async def test_a_child_that_terminates_itself_is_refused_at_once() -> None:
    errors: list[BaseException] = []

    async with open_supervisor(SupervisorSpec()) as supervisor:

        async def start() -> None:
            try:
                await supervisor.terminate_child("a")
            except SupervisorDeadlock as error:
                errors.append(error)

        await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY))
        await wait_all_tasks_blocked()
    assert len(errors) == 1


async def test_a_child_that_is_up_may_manage_its_siblings() -> None:
    done = trio.Event()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("b", idle)])) as supervisor:

        async def start() -> None:
            await supervisor.terminate_child("b")
            await supervisor.restart_child("b")
            await supervisor.start_child(ChildSpec("c", idle))
            done.set()
            await trio.sleep_forever()

        await supervisor.start_child(ChildSpec("a", start))
        await done.wait()
        assert [child.id for child in await supervisor.which_children()] == ["b", "a", "c"]


async def test_a_call_from_a_sibling_in_flight_when_its_group_restarts_is_answered_or_cancelled() -> None:
    log = EventLog()
    crash = Puppet()
    spec = SupervisorSpec(strategy=Strategy.ONE_FOR_ALL, children=[ChildSpec("crash", crash.run)])
    async with open_supervisor(spec, on_event=Inline(log)) as supervisor:

        async def caller() -> None:
            while True:
                await supervisor.count_children()
                await trio.lowlevel.checkpoint()

        await supervisor.start_child(ChildSpec("caller", caller))
        crash.fail()
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        assert [child.incarnation for child in await supervisor.which_children()] == [2, 2]
    assert "root/caller" in log.paths(Exited)
    check_log(log.events)


async def test_a_stuck_child_may_call_a_supervisor_that_no_longer_waits_for_it(autojump_clock: MockClock) -> None:
    answers: list[Counts] = []

    async with open_supervisor(SupervisorSpec()) as supervisor:

        async def start() -> None:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)
                answers.append(await supervisor.count_children())

        await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY, shutdown=After(1.0)))
        await wait_all_tasks_blocked()
        with pytest.raises(ChildStuck):
            await supervisor.terminate_child("a")
        await trio.sleep(20)
    assert len(answers) == 1


async def test_a_call_that_was_refused_as_a_deadlock_is_not_executed_after_all() -> None:
    go = trio.Event()
    async with open_supervisor(SupervisorSpec()) as supervisor, trio.open_nursery() as nursery:

        async def start(*, stop: StopRequest) -> None:
            await go.wait()
            with pytest.raises(SupervisorDeadlock):
                await supervisor.start_child(ChildSpec("x", idle))

        await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY))
        with held(supervisor):
            nursery.start_soon(supervisor.terminate_child, "a")
            await wait_all_tasks_blocked()
            go.set()
            await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert await supervisor.which_children() == []
