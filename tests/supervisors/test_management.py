"""Management calls: their results and errors, and what a cancelled one leaves behind."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    After,
    BadSpec,
    ChildAlreadyPresent,
    ChildAlreadyStarted,
    ChildInfo,
    ChildNotFound,
    ChildRestarting,
    ChildRunning,
    ChildSpec,
    Counts,
    Inline,
    Restart,
    RestartIntensityExceeded,
    State,
    Supervisor,
    SupervisorSpec,
    SupervisorStopped,
    Up,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, OnStop, Puppet, Start, check_log, held


async def idle() -> None:
    await trio.sleep_forever()


async def test_table_h_for_a_child_that_is_up() -> None:
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", idle)])) as supervisor:
        with pytest.raises(ChildAlreadyStarted, match="root/a"):
            await supervisor.start_child(ChildSpec("a", idle))
        with pytest.raises(ChildRunning, match="root/a"):
            await supervisor.restart_child("a")
        with pytest.raises(ChildRunning, match="root/a"):
            await supervisor.delete_child("a")
        await supervisor.terminate_child("a")


async def test_table_h_for_a_child_that_is_down() -> None:
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", idle)])) as supervisor:
        await supervisor.terminate_child("a")
        with pytest.raises(ChildAlreadyPresent, match="root/a"):
            await supervisor.start_child(ChildSpec("a", idle))
        await supervisor.terminate_child("a")
        assert await supervisor.restart_child("a") == Up("a", 2)
        await supervisor.terminate_child("a")
        await supervisor.delete_child("a")
        assert await supervisor.which_children() == []


async def test_table_h_for_a_child_that_is_restarting(mock_clock: MockClock) -> None:
    from anima_supervisors import Backoff

    puppet = Puppet()
    spec = SupervisorSpec(backoff=Backoff(1.0, 1.0), children=[ChildSpec("a", puppet.run)])
    async with open_supervisor(spec) as supervisor:
        puppet.fail()
        await wait_all_tasks_blocked()
        with pytest.raises(ChildAlreadyPresent):
            await supervisor.start_child(ChildSpec("a", idle))
        with pytest.raises(ChildRestarting):
            await supervisor.restart_child("a")
        with pytest.raises(ChildRestarting):
            await supervisor.delete_child("a")
        assert await supervisor.which_children() == [ChildInfo("a", "task", State.RESTARTING, 1)]
        await supervisor.terminate_child("a")
        assert await supervisor.which_children() == [ChildInfo("a", "task", State.DOWN, 1)]


async def test_an_unknown_id_is_not_found() -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor:
        for call in (
            supervisor.restart_child,
            supervisor.terminate_child,
            supervisor.delete_child,
            supervisor.get_childspec,
            functools.partial(supervisor.change_start, start=idle),
        ):
            with pytest.raises(ChildNotFound, match="root/x"):
                await call("x")
        with pytest.raises(ChildNotFound, match="root/x/y"):
            supervisor.find("x/y")


async def test_counts_tell_supervisors_from_workers_and_up_from_down() -> None:
    inner = SupervisorSpec()
    spec = SupervisorSpec(children=[ChildSpec("in", inner), ChildSpec("a", idle), ChildSpec("b", idle)])
    async with open_supervisor(spec) as supervisor:
        await supervisor.terminate_child("a")
        assert await supervisor.count_children() == Counts(specs=3, active=2, supervisors=1, workers=2)


async def test_a_re_added_child_goes_to_the_end_of_the_order() -> None:
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", idle), ChildSpec("b", idle)])) as supervisor:
        await supervisor.terminate_child("a")
        await supervisor.delete_child("a")
        await supervisor.start_child(ChildSpec("a", idle))
        assert [child.id for child in await supervisor.which_children()] == ["b", "a"]


async def test_get_childspec_gives_the_spec_itself() -> None:
    spec = ChildSpec("a", idle)
    async with open_supervisor(SupervisorSpec(children=[spec])) as supervisor:
        assert await supervisor.get_childspec("a") is spec


async def test_what_starts_a_child_can_be_changed_and_holds_from_its_next_start_on() -> None:
    first, second = Puppet(), Puppet()
    spec = ChildSpec("a", first.run, Restart.TRANSIENT, shutdown=After(1.0))
    async with open_supervisor(SupervisorSpec(children=[spec])) as supervisor:
        await supervisor.change_start("a", second.run)
        assert (first.running, second.attempts) == (1, 0)
        first.fail()
        await wait_all_tasks_blocked()
        assert (first.attempts, second.running) == (1, 1)
        changed = await supervisor.get_childspec("a")
        assert (changed.restart, changed.shutdown) == (Restart.TRANSIENT, After(1.0))
        with pytest.raises(BadSpec, match="start must be"):
            await supervisor.change_start("a", "nothing")  # type: ignore[arg-type]


async def test_a_child_that_is_down_is_up_at_once_if_what_starts_it_now_is_so() -> None:
    async def never_up(*, task_status: Any) -> None:
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", idle)])) as supervisor:
        await supervisor.terminate_child("a")
        await supervisor.change_start("a", never_up)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervisor.restart_child, "a")
            await wait_all_tasks_blocked()
            assert supervisor.snapshot().children[0].state is State.STARTING
            nursery.cancel_scope.cancel()
        await supervisor.change_start("a", idle)
        assert await supervisor.restart_child("a") == Up("a", 3)


async def test_find_follows_the_path_to_the_living_supervisor() -> None:
    innermost = SupervisorSpec(children=[ChildSpec("x", idle)])
    inner = SupervisorSpec(children=[ChildSpec("deep", innermost)])
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("in", inner)])) as supervisor:
        found = supervisor.find("in/deep")
        assert found.path == "root/in/deep"
        assert supervisor.find("") is supervisor
        assert supervisor.find("in").find("deep") is found
        with pytest.raises(ChildNotFound):
            supervisor.find("in/deep/x")  # a task is no supervisor


# Cancelled calls


async def test_a_call_cancelled_before_it_is_taken_has_no_effect() -> None:
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", idle)])) as supervisor:
        with held(supervisor):
            with trio.CancelScope() as scope:
                scope.cancel()
                await supervisor.terminate_child("a")
            assert scope.cancelled_caught
        assert [child.state for child in await supervisor.which_children()] == [State.UP]


async def test_a_start_cancelled_while_it_runs_is_rolled_back(autojump_clock: MockClock) -> None:
    log = EventLog()

    async def never_up(*, task_status: Any) -> None:
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        with trio.move_on_after(1) as scope:
            await supervisor.start_child(ChildSpec("a", never_up))
        assert scope.cancelled_caught
        assert await supervisor.which_children() == []
        await supervisor.start_child(ChildSpec("a", idle))
    check_log(log.events)


async def test_a_restart_cancelled_while_it_runs_leaves_the_child_down(autojump_clock: MockClock) -> None:
    attempts = 0

    async def slow_the_second_time(*, task_status: Any) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            task_status.started()
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", slow_the_second_time)])) as supervisor:
        await supervisor.terminate_child("a")
        with trio.move_on_after(1):
            await supervisor.restart_child("a")
        assert [child.state for child in await supervisor.which_children()] == [State.DOWN]


async def test_a_start_whose_caller_is_cancelled_in_the_same_moment_is_rolled_back_or_answered() -> None:
    """Whatever comes first, there is no child of a start that its caller believes cancelled."""
    for turns in range(12):
        go = trio.Event()

        async def up_when_told(*, task_status: Any, go: trio.Event = go) -> None:
            await go.wait()
            task_status.started()
            await trio.sleep_forever()

        async with open_supervisor(SupervisorSpec()) as supervisor, trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def call(supervisor: Supervisor = supervisor, scope: trio.CancelScope = scope) -> None:
                with scope:
                    await supervisor.start_child(ChildSpec("a", up_when_told))

            nursery.start_soon(call)
            await wait_all_tasks_blocked()
            go.set()
            for _ in range(turns):
                await trio.lowlevel.checkpoint()
            scope.cancel()
            await wait_all_tasks_blocked()
            assert len(await supervisor.which_children()) == (not scope.cancelled_caught)


async def test_a_terminate_that_was_taken_completes_though_its_caller_is_gone(autojump_clock: MockClock) -> None:
    stubborn = Puppet(on_stop=OnStop.STUBBORN)
    spec = SupervisorSpec(children=[ChildSpec("a", stubborn.run, shutdown=After(3.0))])
    async with open_supervisor(spec) as supervisor:
        with trio.move_on_after(1):
            await supervisor.terminate_child("a")
        assert [child.state for child in await supervisor.which_children()] == [State.DOWN]


async def test_calls_that_wait_when_the_supervisor_ends_get_an_error() -> None:
    errors: list[str] = []

    async def call(supervisor: Supervisor) -> None:
        try:
            await supervisor.count_children()
        except SupervisorStopped as error:
            errors.append(error.path)

    puppet = Puppet([Start.OK, *[Start.FAIL] * 3])
    async with trio.open_nursery() as nursery:
        with pytest.raises(RestartIntensityExceeded):
            async with open_supervisor(SupervisorSpec(intensity=0, children=[ChildSpec("a", puppet.run)])) as root:
                with held(root):
                    puppet.fail()
                    await wait_all_tasks_blocked()
                    nursery.start_soon(call, root)
                    nursery.start_soon(call, root)
                    await wait_all_tasks_blocked()
                await trio.sleep_forever()
    assert errors == ["root", "root"]


async def test_calls_are_answered_in_the_order_in_which_they_were_made() -> None:
    answers: list[int] = []

    async def call(supervisor: Supervisor, n: int) -> None:
        await supervisor.count_children()
        answers.append(n)

    async with open_supervisor(SupervisorSpec()) as supervisor, trio.open_nursery() as nursery:
        with held(supervisor):
            for n in range(5):
                nursery.start_soon(call, supervisor, n)
                await wait_all_tasks_blocked()
    assert sorted(answers) == [0, 1, 2, 3, 4]


async def test_a_start_whose_caller_is_gone_and_whose_child_is_deaf_is_stuck_a_second_after_its_bound(
    autojump_clock: MockClock,
) -> None:
    release = trio.Event()

    async def deaf(*, task_status: Any) -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    async with open_supervisor(SupervisorSpec()) as supervisor:
        spec = ChildSpec("a", deaf, start_timeout=1000.0, shutdown=After(2.0))
        with trio.move_on_after(5):
            await supervisor.start_child(spec)
        before = trio.current_time()
        assert await supervisor.which_children() == [ChildInfo("a", "task", State.STUCK, 1)]
        assert trio.current_time() - before == 2.0 + 1.0
        release.set()
        await wait_all_tasks_blocked()
        assert await supervisor.which_children() == []
