"""Backoff: the wait before a restart."""

from __future__ import annotations

from random import Random
from typing import Any

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    After,
    Backoff,
    BackoffNeverGivesUp,
    ChildSpec,
    Inline,
    RestartScheduled,
    State,
    Strategy,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, OnStop, Puppet, check_log

FLAT = Backoff(1.0, 1.0, 1.0, 0.0)  # each wait is one second


def states(supervisor: Supervisor) -> list[State]:
    return [node.state for node in supervisor.snapshot().children]


async def test_without_a_backoff_a_restart_takes_no_time(autojump_clock: MockClock) -> None:
    puppet = Puppet()
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", puppet.run)])):
        before = trio.current_time()
        puppet.fail()
        await wait_all_tasks_blocked()
        assert puppet.attempts == 2
        assert trio.current_time() == before


async def test_a_backoff_waits_longer_after_each_failure_and_starts_anew_after_a_stable_time(
    mock_clock: MockClock,
) -> None:
    log = EventLog()
    puppet = Puppet()
    backoff = Backoff(1.0, 60.0, 2.0, 0.0, reset_after=100.0)
    spec = SupervisorSpec(intensity=9, period=1000, backoff=backoff, children=[ChildSpec("a", puppet.run)])
    async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
        for stable in (0.0, 0.0, 0.0, 100.0, 0.0):
            mock_clock.jump(stable)
            puppet.fail()
            await wait_all_tasks_blocked()
            assert states(supervisor) == [State.RESTARTING]
            mock_clock.jump(log.of(RestartScheduled)[-1].delay)
            await wait_all_tasks_blocked()
            assert states(supervisor) == [State.UP]
    assert [event.delay for event in log.of(RestartScheduled)] == [1.0, 2.0, 4.0, 1.0, 2.0]


async def test_the_randomness_of_a_backoff_is_passed_in(mock_clock: MockClock) -> None:
    delays = []
    for _ in range(2):
        log, puppet = EventLog(), Puppet()
        spec = SupervisorSpec(backoff=Backoff(1.0, 60.0), children=[ChildSpec("a", puppet.run)])
        async with open_supervisor(spec, on_event=Inline(log), random=Random(7)):
            puppet.fail()
            await wait_all_tasks_blocked()
        delays.append(log.of(RestartScheduled)[0].delay)
    assert delays[0] == delays[1]
    assert 0 < delays[0] < 1


async def test_in_a_group_restart_with_backoff_the_siblings_stop_at_once_and_only_the_start_waits(
    mock_clock: MockClock,
) -> None:
    log = EventLog()
    named = {id: Puppet() for id in "abc"}
    spec = SupervisorSpec(
        strategy=Strategy.ONE_FOR_ALL,
        backoff=FLAT,
        children=[ChildSpec(id, puppet.run) for id, puppet in named.items()],
    )
    async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
        named["b"].fail()
        await wait_all_tasks_blocked()
        assert states(supervisor) == [State.DOWN, State.RESTARTING, State.DOWN]
        mock_clock.jump(1.0)
        await wait_all_tasks_blocked()
        assert states(supervisor) == [State.UP] * 3
    check_log(log.events)


async def test_a_child_is_restarting_also_while_its_siblings_still_stop(autojump_clock: MockClock) -> None:
    crash, slow = Puppet(), Puppet(on_stop=OnStop.STUBBORN)
    spec = SupervisorSpec(
        strategy=Strategy.ONE_FOR_ALL,
        backoff=FLAT,
        children=[ChildSpec("crash", crash.run), ChildSpec("slow", slow.run, shutdown=After(2.0))],
    )
    async with open_supervisor(spec) as supervisor:
        crash.fail()
        await trio.sleep(1)
        assert states(supervisor) == [State.RESTARTING, State.STOPPING]
        await trio.sleep(2.5)
        assert states(supervisor) == [State.UP, State.UP]


async def test_while_a_child_waits_for_its_restart_calls_are_answered_and_terminate_ends_the_wait(
    mock_clock: MockClock,
) -> None:
    puppet = Puppet()
    spec = SupervisorSpec(backoff=FLAT, children=[ChildSpec("a", puppet.run)])
    async with open_supervisor(spec) as supervisor:
        puppet.fail()
        await wait_all_tasks_blocked()
        assert (await supervisor.count_children()).active == 0
        await supervisor.terminate_child("a")
        assert states(supervisor) == [State.DOWN]
        mock_clock.jump(10)
        await wait_all_tasks_blocked()
        assert puppet.attempts == 1
        await supervisor.restart_child("a")
        assert puppet.attempts == 2


async def test_a_stop_ends_the_wait_of_a_backoff(autojump_clock: MockClock) -> None:
    puppet = Puppet()
    spec = SupervisorSpec(backoff=Backoff(3600, 3600), children=[ChildSpec("a", puppet.run)])
    async with open_supervisor(spec):
        puppet.fail()
        await wait_all_tasks_blocked()
        before = trio.current_time()
    assert trio.current_time() == before


async def test_with_backoff_an_attempt_counts_when_it_is_made(mock_clock: MockClock) -> None:
    """Two failures at once are far apart by the time they are counted, so that they fit into a window of one."""
    puppet = Puppet()
    spec = SupervisorSpec(
        intensity=1, period=5.0, backoff=Backoff(6.0, 6.0, 1.0, 0.0), children=[ChildSpec("a", puppet.run)]
    )
    async with open_supervisor(spec) as supervisor:
        for _ in range(4):
            puppet.fail()
            await wait_all_tasks_blocked()
            mock_clock.jump(6.0)
            await wait_all_tasks_blocked()
        assert states(supervisor) == [State.UP]


async def test_a_backoff_that_can_never_reach_the_limit_is_pointed_out() -> None:
    log = EventLog()
    async with open_supervisor(SupervisorSpec(backoff=Backoff(10.0, 60.0)), on_event=Inline(log)):
        pass
    assert log.paths(BackoffNeverGivesUp) == ["root"]


async def test_a_retry_is_matched_by_identity_not_by_the_state_it_finds(mock_clock: MockClock) -> None:
    """A child that was terminated and restarted within its backoff, and waits again: the old timer says nothing."""
    puppet = Puppet()
    spec = SupervisorSpec(intensity=9, backoff=FLAT, children=[ChildSpec("a", puppet.run)])
    async with open_supervisor(spec) as supervisor:
        puppet.fail()
        await wait_all_tasks_blocked()
        mock_clock.jump(0.5)
        await supervisor.terminate_child("a")
        await supervisor.restart_child("a")
        puppet.fail()
        await wait_all_tasks_blocked()
        mock_clock.jump(0.5)  # the first wait would be over now
        await wait_all_tasks_blocked()
        assert states(supervisor) == [State.RESTARTING]
        mock_clock.jump(0.5)
        await wait_all_tasks_blocked()
        assert states(supervisor) == [State.UP]


async def test_after_a_stuck_start_the_backoff_waits_as_after_any_other(autojump_clock: MockClock) -> None:
    log = EventLog()
    release = trio.Event()
    attempts = 0

    async def start(*, task_status: Any) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            task_status.started()
            raise ValueError
        if attempts == 2:
            with trio.CancelScope(shield=True):
                await release.wait()
        task_status.started()
        await trio.sleep_forever()

    spec = ChildSpec("a", start, start_timeout=1.0, shutdown=After(1.0))
    async with open_supervisor(SupervisorSpec(backoff=FLAT, children=[spec]), on_event=Inline(log)) as supervisor:
        await trio.sleep(10)
        assert states(supervisor) == [State.STUCK]
        release.set()
        await wait_all_tasks_blocked()
        assert states(supervisor) == [State.RESTARTING]
        await trio.sleep(1.5)
        assert states(supervisor) == [State.UP]
    assert [event.delay for event in log.of(RestartScheduled)] == [1.0, 1.0]
