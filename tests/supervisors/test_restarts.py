"""Restarts: limits, restart by error, escalation, and the faults that no trace of OTP can show."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    After,
    Args,
    AutoShutdown,
    AutoShutdownTriggered,
    Backoff,
    BadSpec,
    ChildNotFound,
    ChildSpec,
    ChildStartFailed,
    DynamicSupervisorSpec,
    Error,
    Escalated,
    Exited,
    GaveUp,
    Inline,
    OnError,
    Restart,
    RestartIntensityExceeded,
    RestartScheduled,
    Started,
    StartFailed,
    State,
    Strategy,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, OnStop, Puppet, Start, check_log, held

FLAT = Backoff(1.0, 1.0, 1.0, 0.0)  # each wait is one second


def states(supervisor: Supervisor) -> list[State]:
    return [node.state for node in supervisor.snapshot().children]


# The limit


async def test_the_error_of_a_give_up_is_the_last_failed_start_with_its_cause() -> None:
    log = EventLog()
    puppet = Puppet([Start.OK, *[Start.FAIL] * 9])
    with pytest.raises(RestartIntensityExceeded, match="root/a") as caught:
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", puppet.run)]), on_event=Inline(log)):
            puppet.fail(ValueError("the first"))
            await trio.sleep_forever()
    assert puppet.attempts == 4
    assert str(caught.value.__cause__) == "told to fail at its start"
    assert [event.restarts for event in log.of(RestartScheduled)] == [1, 2, 3]
    assert log.paths(StartFailed) == ["root/a"] * 3
    check_log(log.events)


async def test_a_child_that_never_starts_lets_other_tasks_run_between_its_attempts() -> None:
    """Each retry is a checkpoint: a crash loop must not starve the program."""
    turns = 0
    puppet = Puppet([Start.OK, *[Start.FAIL] * 500])

    async def count_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(count_turns)
        with pytest.raises(RestartIntensityExceeded):
            async with open_supervisor(SupervisorSpec(intensity=500, children=[ChildSpec("a", puppet.run)])):
                puppet.fail()
                await trio.sleep_forever()
        nursery.cancel_scope.cancel()
    assert turns > 500


async def test_the_first_cause_stays_visible_when_a_give_up_escalates_through_the_tree() -> None:
    async def crash() -> None:
        raise ValueError("the root of it all")

    inner = SupervisorSpec(intensity=0, children=[ChildSpec("x", crash)])
    with pytest.raises(RestartIntensityExceeded) as caught:
        async with open_supervisor(SupervisorSpec(intensity=0, children=[ChildSpec("in", inner)])):
            await trio.sleep_forever()
    causes = []
    error: BaseException | None = caught.value
    while error is not None:
        causes.append(str(error).partition(":")[0])
        error = error.__cause__
    assert causes[-1] == "the root of it all"
    assert len(causes) == 3


# Restart by error


@pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TRANSIENT])
async def test_an_error_that_says_stop_leaves_the_child_down_uncounted(restart: Restart) -> None:
    puppet = Puppet()
    spec = ChildSpec("a", puppet.run, restart, on_error={ValueError: OnError.STOP})
    async with open_supervisor(SupervisorSpec(intensity=0, children=[spec])) as supervisor:
        puppet.fail(ValueError())
        await wait_all_tasks_blocked()
        assert states(supervisor) == [State.DOWN]


async def test_an_error_that_says_stop_counts_as_a_clean_exit_of_a_significant_child() -> None:
    puppet = Puppet()
    spec = SupervisorSpec(
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        children=[ChildSpec("a", puppet.run, Restart.TRANSIENT, significant=True, on_error={ValueError: OnError.STOP})],
    )
    log = EventLog()
    async with open_supervisor(spec, on_event=Inline(log)):
        puppet.fail(ExceptionGroup("", [ValueError(), KeyError()]))
        await trio.sleep_forever()
    assert log.paths(AutoShutdownTriggered) == ["root"]


async def test_an_escalated_error_goes_up_as_it_is_and_each_parent_judges_it_anew() -> None:
    log = EventLog()
    puppet = Puppet()
    inner = SupervisorSpec(
        children=[ChildSpec("x", puppet.run, on_error={OSError: OnError.ESCALATE}), ChildSpec("y", Puppet().run)]
    )
    spec = SupervisorSpec(children=[ChildSpec("in", inner, Restart.TRANSIENT)])
    async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
        error = OSError("disk full")
        puppet.fail(error)
        await wait_all_tasks_blocked()
        assert [event.exit for event in log.of(Exited) if event.path == "root/in"] == [Error(error)]
        assert states(supervisor) == [State.UP]
        assert puppet.attempts == 2
    assert log.paths(Escalated) == ["root/in"]
    assert log.of(GaveUp) == []


# Faults that match all traces of OTP


async def test_all_significant_waits_for_a_significant_child_that_is_restarting(mock_clock: MockClock) -> None:
    named = {id: Puppet() for id in "ab"}
    spec = SupervisorSpec(
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
        backoff=FLAT,
        children=[ChildSpec(id, p.run, Restart.TRANSIENT, significant=True) for id, p in named.items()],
    )
    async with open_supervisor(spec) as supervisor:
        named["a"].fail()
        await wait_all_tasks_blocked()
        assert states(supervisor) == [State.RESTARTING, State.UP]
        named["b"].finish()
        await wait_all_tasks_blocked()
        assert supervisor.exit is None
        mock_clock.jump(1.0)
        await wait_all_tasks_blocked()
        assert states(supervisor) == [State.UP, State.DOWN]


async def test_a_dynamic_child_that_is_ignored_at_its_restart_is_forgotten() -> None:
    puppet = Puppet([Start.OK, Start.IGNORE])
    spec = DynamicSupervisorSpec(template=ChildSpec("t", puppet.run))
    async with open_supervisor(spec) as supervisor:
        await supervisor.start_child(Args(id="a"))
        puppet.fail()
        await wait_all_tasks_blocked()
        assert await supervisor.which_children() == []
        with pytest.raises(ChildNotFound):
            await supervisor.terminate_child("a")


async def test_a_bad_spec_is_refused_before_its_id_is_looked_at() -> None:
    puppet = Puppet()
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", puppet.run)])) as supervisor:
        with pytest.raises(BadSpec, match="auto_shutdown"):
            await supervisor.start_child(ChildSpec("a", puppet.run, Restart.TRANSIENT, significant=True))


async def test_an_exit_of_an_old_incarnation_is_never_taken_for_the_new_one() -> None:
    """Both siblings end at once under one_for_all: one restart, and the second exit finds a new incarnation."""
    log = EventLog()
    named = {id: Puppet() for id in "ab"}
    spec = SupervisorSpec(
        strategy=Strategy.ONE_FOR_ALL, intensity=1, children=[ChildSpec(id, p.run) for id, p in named.items()]
    )
    async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
        with held(supervisor):
            for puppet in named.values():
                puppet.fail()
                await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        assert [child.incarnation for child in await supervisor.which_children()] == [2, 2]
    assert len(log.of(RestartScheduled)) == 1


async def test_a_window_is_exact_to_the_edge(mock_clock: MockClock) -> None:
    puppet = Puppet()
    spec = SupervisorSpec(intensity=1, period=5.0, children=[ChildSpec("a", puppet.run)])
    with pytest.raises(RestartIntensityExceeded):
        async with open_supervisor(spec):
            puppet.fail()
            await wait_all_tasks_blocked()
            mock_clock.jump(5.0)
            puppet.fail()
            await trio.sleep_forever()


async def test_a_failed_manual_start_is_neither_counted_nor_retried() -> None:
    puppet = Puppet([Start.FAIL])
    async with open_supervisor(SupervisorSpec(intensity=0)) as supervisor:
        with pytest.raises(ChildStartFailed):
            await supervisor.start_child(ChildSpec("a", puppet.run))
        await wait_all_tasks_blocked()
        assert puppet.attempts == 1


async def test_incarnations_count_all_start_attempts_of_a_path_in_the_life_of_the_tree() -> None:
    log = EventLog()
    puppet = Puppet([Start.OK, Start.FAIL, Start.OK])
    async with open_supervisor(
        SupervisorSpec(children=[ChildSpec("a", puppet.run)]), on_event=Inline(log)
    ) as supervisor:
        puppet.fail()
        await wait_all_tasks_blocked()
        await supervisor.terminate_child("a")
        await supervisor.delete_child("a")
        await supervisor.start_child(ChildSpec("a", puppet.run))
    assert [e.incarnation for e in log.of(Started, StartFailed) if e.path == "root/a"] == [1, 2, 3, 4]


async def test_a_temporary_child_killed_in_a_group_is_forgotten_before_the_group_starts() -> None:
    named: dict[str, Any] = {id: Puppet(on_stop=OnStop.ERROR) for id in "ab"}
    spec = SupervisorSpec(
        strategy=Strategy.ONE_FOR_ALL,
        children=[ChildSpec("a", named["a"].run), ChildSpec("b", named["b"].run, Restart.TEMPORARY)],
    )
    async with open_supervisor(spec) as supervisor:
        named["a"].fail()
        await wait_all_tasks_blocked()
        assert [child.id for child in await supervisor.which_children()] == ["a"]


async def test_a_significant_child_that_was_stopped_and_is_stuck_counts_as_gone(autojump_clock: MockClock) -> None:
    from anima_supervisors import ChildStuck

    a, b = Puppet(), Puppet(on_stop=OnStop.DEAF)
    spec = SupervisorSpec(
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
        children=[
            ChildSpec(id, puppet.run, Restart.TRANSIENT, significant=True, shutdown=After(1.0))
            for id, puppet in (("a", a), ("b", b))
        ],
    )
    log = EventLog()
    async with trio.open_nursery() as nursery:

        async def host() -> None:
            async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
                with pytest.raises(ChildStuck):
                    await supervisor.terminate_child("b")
                a.finish()
                await trio.sleep_forever()

        nursery.start_soon(host)
        await trio.sleep(10)
        assert log.paths(AutoShutdownTriggered) == ["root"]
        b.release()


async def test_a_significant_child_that_comes_back_counts_again() -> None:
    named = {id: Puppet() for id in "abc"}
    spec = SupervisorSpec(
        auto_shutdown=AutoShutdown.ALL_SIGNIFICANT,
        children=[ChildSpec(id, p.run, Restart.TRANSIENT, significant=True) for id, p in named.items()],
    )
    async with open_supervisor(spec) as supervisor:
        named["a"].finish()
        await wait_all_tasks_blocked()
        await supervisor.restart_child("a")
        for id in "bc":
            named[id].finish()
            await wait_all_tasks_blocked()
        assert supervisor.exit is None
        named["a"].finish()
        await trio.sleep_forever()
