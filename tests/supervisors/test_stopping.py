"""Ordered stops: requests, bounds, stuck children, outer cancellations, and what never happens after them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    After,
    ChildNotFound,
    ChildRunning,
    ChildSpec,
    ChildStuck,
    DynamicSupervisorSpec,
    Error,
    Exited,
    Inline,
    Kill,
    Killed,
    Never,
    Normal,
    Restart,
    Shutdown,
    Started,
    State,
    StopPolicy,
    StopRequest,
    Strategy,
    Stuck,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, OnStop, Puppet, check_log


async def idle() -> None:
    await trio.sleep_forever()


def puppets(*ids: str, on_stop: OnStop = OnStop.SHUTDOWN) -> dict[str, Puppet]:
    return {id: Puppet(on_stop=on_stop) for id in ids}


def children(named: dict[str, Puppet], shutdown: StopPolicy = After(5.0)) -> list[ChildSpec]:
    return [ChildSpec(id, puppet.run, shutdown=shutdown) for id, puppet in named.items()]


async def test_leaving_the_block_stops_the_children_in_reverse_order() -> None:
    log = EventLog()
    inner = SupervisorSpec(children=[ChildSpec("x", idle), ChildSpec("y", idle)])
    spec = SupervisorSpec(children=[ChildSpec("a", idle), ChildSpec("in", inner), ChildSpec("b", idle)])
    async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
        await supervisor.start_child(ChildSpec("late", idle))
    assert log.paths(Exited) == ["root/late", "root/b", "root/in/y", "root/in/x", "root/in", "root/a", "root"]
    assert supervisor.exit == Shutdown()
    check_log(log.events)


async def test_a_child_that_takes_stop_may_finish_and_one_that_does_not_is_cancelled(autojump_clock: MockClock) -> None:
    finished: list[str] = []

    async def polite(*, stop: StopRequest) -> None:
        await stop.wait()
        assert stop.deadline == trio.current_time() + 5.0
        await trio.sleep(4.9)
        finished.append("polite")

    async def plain() -> None:
        try:
            await trio.sleep_forever()
        finally:
            finished.append("plain, cancelled")

    log = EventLog()
    spec = SupervisorSpec(children=[ChildSpec("polite", polite), ChildSpec("plain", plain)])
    async with open_supervisor(spec, on_event=Inline(log)):
        await wait_all_tasks_blocked()
    assert finished == ["plain, cancelled", "polite"]
    exits = {event.path: event.exit for event in log.of(Exited)}
    assert (exits["root/polite"], exits["root/plain"]) == (Normal(), Shutdown())


async def test_a_child_that_ignores_the_request_is_cancelled_when_its_bound_runs_out(autojump_clock: MockClock) -> None:
    log = EventLog()
    stubborn = Puppet(on_stop=OnStop.STUBBORN)
    spec = SupervisorSpec(children=[ChildSpec("a", stubborn.run, shutdown=After(2.0))])
    async with open_supervisor(spec, on_event=Inline(log)):
        before = trio.current_time()
    assert trio.current_time() - before == 2.0
    assert log.of(Exited)[0].exit == Killed()


async def test_kill_gives_no_notice_but_lets_the_cleanup_run() -> None:
    asked = cleaned = False

    async def start(*, stop: StopRequest) -> None:
        nonlocal asked, cleaned
        try:
            await trio.sleep_forever()
        finally:
            asked, cleaned = stop.is_set(), True

    log = EventLog()
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start, shutdown=Kill())]), on_event=Inline(log)):
        await wait_all_tasks_blocked()
    assert (asked, cleaned) == (False, True)
    assert log.of(Exited)[0].exit == Killed()


async def test_never_waits_for_as_long_as_it_takes(autojump_clock: MockClock) -> None:
    async def slow(*, stop: StopRequest) -> None:
        await stop.wait()
        await trio.sleep(3600)

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", slow, shutdown=Never())])):
        before = trio.current_time()
    assert trio.current_time() - before == 3600


async def test_a_crash_while_stopping_is_reported_and_nothing_more() -> None:
    log = EventLog()
    spec = SupervisorSpec(intensity=0, children=children(puppets("a", "b", on_stop=OnStop.ERROR)))
    async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
        await supervisor.terminate_child("a")
    assert [isinstance(event.exit, Error) and event.stopped for event in log.of(Exited)[:2]] == [True, True]
    assert supervisor.exit == Shutdown()


@pytest.mark.parametrize("reason", ["finish", "end", "fail"])
async def test_children_that_exit_by_themselves_while_the_supervisor_stops_are_not_restarted(reason: str) -> None:
    """OTP's sup_stop_race: whatever they end with, the stop goes on and nothing is counted."""
    log = EventLog()
    named = puppets("a", "b", "c")
    async with open_supervisor(SupervisorSpec(intensity=0, children=children(named)), on_event=Inline(log)):
        for puppet in named.values():
            getattr(puppet, reason)()
    assert sorted(log.paths(Exited)[:3]) == ["root/a", "root/b", "root/c"]
    assert len(log.of(Started)) == 4
    check_log(log.events)


# Stuck


async def test_a_stuck_child_is_told_and_the_stop_goes_on_but_the_end_of_the_block_waits(
    autojump_clock: MockClock,
) -> None:
    log = EventLog()
    named = {"a": Puppet(), "deaf": Puppet(on_stop=OnStop.DEAF), "b": Puppet()}
    async with trio.open_nursery() as nursery:

        async def host() -> None:
            async with open_supervisor(
                SupervisorSpec(children=children(named, After(2.0))), on_event=Inline(log)
            ) as supervisor:
                hosted.append(supervisor)

        hosted: list[Any] = []
        nursery.start_soon(host)
        await trio.sleep(3.5)  # the bound of 2 s, and 1 s more
        assert log.paths(Stuck) == ["root/deaf"]
        assert log.paths(Exited) == ["root/b", "root/a"]
        assert [node.state for node in hosted[0].snapshot().children] == [State.DOWN, State.STUCK, State.DOWN]
        await trio.sleep(100)
        assert "root" not in log.paths(Exited)
        named["deaf"].release()
    assert log.paths(Exited) == ["root/b", "root/a", "root/deaf", "root"]
    check_log(log.events)


async def test_a_stuck_child_deep_in_the_tree_does_not_hold_up_its_uncles(autojump_clock: MockClock) -> None:
    log = EventLog()
    deaf = Puppet(on_stop=OnStop.DEAF)
    inner = SupervisorSpec(children=[ChildSpec("deaf", deaf.run, shutdown=After(2.0))])
    spec = SupervisorSpec(children=[ChildSpec("a", idle), ChildSpec("in", inner)])
    async with trio.open_nursery() as nursery:

        async def host() -> None:
            async with open_supervisor(spec, on_event=Inline(log)):
                pass

        nursery.start_soon(host)
        await trio.sleep(4)
        assert log.paths(Stuck) == ["root/in/deaf", "root/in"]
        assert log.paths(Exited) == ["root/a"]
        deaf.release()
    check_log(log.events)


async def test_a_replacement_waits_for_the_stuck_incarnation_and_the_inbox_is_served(autojump_clock: MockClock) -> None:
    log = EventLog()
    named = {"a": Puppet(), "deaf": Puppet(on_stop=OnStop.DEAF)}
    spec = SupervisorSpec(strategy=Strategy.ONE_FOR_ALL, children=children(named, After(2.0)))
    async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
        named["a"].fail()
        await trio.sleep(10)
        assert len(log.of(Started)) == 3  # nothing is started beside the old incarnation
        assert [child.state for child in await supervisor.which_children()] == [State.RESTARTING, State.STUCK]
        named["deaf"].release()
        named["deaf"].on_stop = OnStop.SHUTDOWN
        await wait_all_tasks_blocked()
        assert [child.incarnation for child in await supervisor.which_children()] == [2, 2]
    check_log(log.events)


async def test_terminating_a_child_that_gets_stuck_says_so_and_it_has_no_twin(autojump_clock: MockClock) -> None:
    deaf = Puppet(on_stop=OnStop.DEAF)
    async with open_supervisor(SupervisorSpec()) as supervisor:
        spec = ChildSpec("deaf", deaf.run, Restart.TEMPORARY, shutdown=After(2.0))
        await supervisor.start_child(spec)
        with pytest.raises(ChildStuck, match="root/deaf"):
            await supervisor.terminate_child("deaf")
        with pytest.raises(ChildRunning):
            await supervisor.delete_child("deaf")
        deaf.release()
        await wait_all_tasks_blocked()
        with pytest.raises(ChildNotFound):  # temporary: forgotten once it was gone
            await supervisor.terminate_child("deaf")


# Outer cancellation


async def test_an_outer_cancellation_stops_in_order_and_passes_with_its_reason(autojump_clock: MockClock) -> None:
    log = EventLog()
    order: list[str] = []

    def child(id: str) -> ChildSpec:
        async def start(*, stop: StopRequest) -> None:
            await stop.wait()
            await trio.sleep(1)  # a child is not cancelled by the outer scope: it has its second
            order.append(id)

        return ChildSpec(id, start)

    inner = SupervisorSpec(children=[child("x"), child("y")])
    spec = SupervisorSpec(children=[child("a"), ChildSpec("in", inner), child("b")])
    with trio.CancelScope() as scope:
        try:
            async with open_supervisor(spec, on_event=Inline(log)):
                scope.cancel(reason="the user's")
                await trio.sleep_forever()
        except trio.Cancelled as cancelled:
            assert cancelled.reason == "the user's"
            raise
    assert scope.cancelled_caught
    assert order == ["b", "y", "x", "a"]
    check_log(log.events)


async def test_under_an_outer_cancellation_a_bound_without_end_becomes_the_grace(autojump_clock: MockClock) -> None:
    log = EventLog()
    stubborn = Puppet(on_stop=OnStop.STUBBORN)
    inner = SupervisorSpec(children=[ChildSpec("stubborn", stubborn.run, shutdown=Never())])
    before = trio.current_time()
    with trio.move_on_after(10):
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("in", inner)]), grace=3.0, on_event=Inline(log)):
            await trio.sleep_forever()
    assert trio.current_time() - before == 10 + 3
    assert log.of(Exited)[0].exit == Killed()


async def test_an_outer_cancellation_during_an_endless_stop_ends_it_within_the_grace(autojump_clock: MockClock) -> None:
    stubborn = Puppet(on_stop=OnStop.STUBBORN)
    inner = SupervisorSpec(children=[ChildSpec("stubborn", stubborn.run, shutdown=Never())])
    before = trio.current_time()
    with trio.move_on_after(10):
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("in", inner)]), grace=3.0):
            pass
    assert trio.current_time() - before == 10 + 3


async def test_a_second_cancellation_does_not_restart_the_clock_of_a_child_that_is_stopping(
    autojump_clock: MockClock,
) -> None:
    stubborn = Puppet(on_stop=OnStop.STUBBORN)
    before = trio.current_time()
    with trio.move_on_after(4):
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", stubborn.run, shutdown=After(5.0))])):
            pass
    assert trio.current_time() - before == 5.0


async def test_a_supervisor_with_a_bound_is_hurried_when_it_runs_out(autojump_clock: MockClock) -> None:
    log = EventLog()
    stubborn = Puppet(on_stop=OnStop.STUBBORN)
    inner = SupervisorSpec(children=[ChildSpec("stubborn", stubborn.run, shutdown=Never())])
    spec = SupervisorSpec(children=[ChildSpec("in", inner, shutdown=After(2.0))])
    async with open_supervisor(spec, grace=0.5, on_event=Inline(log)):
        before = trio.current_time()
    assert trio.current_time() - before == 2.5
    assert log.of(Stuck) == []


# Dynamic


async def test_a_dynamic_supervisor_stops_all_at_once_each_within_its_own_bound(autojump_clock: MockClock) -> None:
    """A fault no trace shows: stopping them one by one gives the same order of events."""
    log = EventLog()
    async with open_supervisor(DynamicSupervisorSpec(), on_event=Inline(log)) as supervisor:
        for seconds in (3.0, 1.0, 2.0):
            stubborn = Puppet(on_stop=OnStop.STUBBORN)
            await supervisor.start_child(ChildSpec(f"{seconds:g}", stubborn.run, shutdown=After(seconds)))
        before = trio.current_time()
    assert trio.current_time() - before == 3.0
    assert log.paths(Exited) == ["root/1", "root/2", "root/3", "root"]


async def test_stop_does_not_wait_and_wait_ended_does() -> None:
    inner = SupervisorSpec(children=[ChildSpec("x", idle)])
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("in", inner, Restart.TRANSIENT)])) as supervisor:
        found = supervisor.find("in")
        found.stop()
        assert await found.wait_ended() == Shutdown()
        await wait_all_tasks_blocked()
        assert [child.state for child in await supervisor.which_children()] == [State.DOWN]


async def test_a_child_may_stop_its_own_supervisor() -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor:

        async def start() -> None:
            supervisor.stop(Normal())
            await trio.sleep_forever()

        await supervisor.start_child(ChildSpec("a", start))
        await trio.sleep_forever()
    assert supervisor.exit == Normal()


async def test_stopping_events_tell_the_bound() -> None:
    from anima_supervisors import Stopping

    log = EventLog()
    spec = SupervisorSpec(children=[ChildSpec("a", idle, shutdown=After(2.0)), ChildSpec("b", idle, shutdown=Never())])
    async with open_supervisor(spec, on_event=Inline(log)):
        pass
    assert [(event.path, event.bound) for event in log.of(Stopping)] == [("root/b", math.inf), ("root/a", 2.0)]


async def test_an_inner_supervisor_that_ended_by_itself_with_a_stuck_child_does_not_hold_up_its_uncles(
    autojump_clock: MockClock,
) -> None:
    log = EventLog()
    deaf, crash = Puppet(on_stop=OnStop.DEAF), Puppet()
    inner = SupervisorSpec(
        intensity=0,
        children=[ChildSpec("deaf", deaf.run, shutdown=After(1.0)), ChildSpec("crash", crash.run)],
    )
    spec = SupervisorSpec(children=[ChildSpec("a", idle), ChildSpec("in", inner)])
    async with trio.open_nursery() as nursery:

        async def host() -> None:
            with trio.move_on_after(10):
                async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
                    crash.fail()
                    await trio.sleep(5)
                    assert [node.state for node in supervisor.snapshot().children] == [State.UP, State.STOPPING]
                    await trio.sleep_forever()

        nursery.start_soon(host)
        await trio.sleep(11)
        assert "root/a" in log.paths(Exited)
        deaf.release()
    check_log(log.events)


async def test_a_snapshot_after_the_end_shows_nothing_that_still_runs(autojump_clock: MockClock) -> None:
    deaf = Puppet(on_stop=OnStop.DEAF)
    async with trio.open_nursery() as nursery:
        hosted: list[Any] = []

        async def host() -> None:
            async with open_supervisor(
                SupervisorSpec(children=[ChildSpec("a", deaf.run, shutdown=After(1.0))])
            ) as supervisor:
                hosted.append(supervisor)

        nursery.start_soon(host)
        await trio.sleep(5)
        deaf.release()
    assert {node.state for node in hosted[0].snapshot().walk()} == {State.DOWN}


async def test_an_inner_stop_that_is_under_way_is_hurried_by_a_late_cancellation(autojump_clock: MockClock) -> None:
    """The inner supervisor waits without a bound when the cancellation comes: it has to be woken to see the grace."""
    log = EventLog()
    deaf = Puppet(on_stop=OnStop.DEAF)
    inner = SupervisorSpec(children=[ChildSpec("deaf", deaf.run, shutdown=Never())])
    async with trio.open_nursery() as nursery:

        async def host() -> None:
            with trio.move_on_after(10):
                async with open_supervisor(
                    SupervisorSpec(children=[ChildSpec("a", idle), ChildSpec("in", inner)]),
                    grace=3.0,
                    on_event=Inline(log),
                ):
                    pass  # the stop begins at once, and has no bound

        nursery.start_soon(host)
        await trio.sleep(10 + 3 + 1.5)
        assert log.paths(Stuck) == ["root/in/deaf", "root/in"]
        assert "root/a" in log.paths(Exited)
        deaf.release()
