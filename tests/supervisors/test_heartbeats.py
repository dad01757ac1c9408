"""Heartbeats: a child that falls silent."""

from __future__ import annotations

from collections.abc import Callable

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    After,
    Backoff,
    ChildSpec,
    Error,
    Exited,
    HeartbeatLost,
    HeartbeatMissed,
    Inline,
    Kill,
    Restart,
    State,
    Supervisor,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, Puppet, check_log


def states(supervisor: Supervisor) -> list[State]:
    return [node.state for node in supervisor.snapshot().children]


async def test_a_child_that_falls_silent_is_stopped_and_restarted(mock_clock: MockClock) -> None:
    log = EventLog()
    beats: list[Callable[[], None]] = []

    async def start(*, beat: Callable[[], None]) -> None:
        beats.append(beat)
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start, heartbeat=5.0)]), on_event=Inline(log)):
        for _ in range(5):
            await wait_all_tasks_blocked()
            mock_clock.jump(4.0)
            beats[-1]()
        await wait_all_tasks_blocked()
        assert len(beats) == 1
        mock_clock.jump(5.0)
        await wait_all_tasks_blocked()
        assert len(beats) == 2
    assert [(event.path, event.silence) for event in log.of(HeartbeatMissed)] == [("root/a", 5.0)]
    exit = log.of(Exited)[0].exit
    assert isinstance(exit, Error)
    assert isinstance(exit.exception, HeartbeatLost)
    check_log(log.events)


async def test_a_silent_child_that_is_deaf_has_no_twin_while_it_lives(autojump_clock: MockClock) -> None:
    release = trio.Event()
    starts = 0

    async def start(*, beat: Callable[[], None]) -> None:
        nonlocal starts
        starts += 1
        with trio.CancelScope(shield=starts == 1):
            await release.wait() if starts == 1 else await trio.sleep_forever()

    spec = SupervisorSpec(children=[ChildSpec("a", start, heartbeat=5.0, shutdown=After(1.0))])
    async with open_supervisor(spec) as supervisor:
        await trio.sleep(5 + 1 + 1.5)
        assert states(supervisor) == [State.STUCK]
        assert starts == 1
        release.set()
        await wait_all_tasks_blocked()
        assert starts == 2


async def test_a_heartbeat_ends_with_its_child() -> None:
    async def start(*, beat: Callable[[], None]) -> None: ...

    async with open_supervisor(SupervisorSpec()) as supervisor:  # the end would take an hour
        await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY, heartbeat=3600.0))
        await wait_all_tasks_blocked()


async def test_a_beat_that_comes_at_the_last_moment_counts(mock_clock: MockClock) -> None:
    """Somebody else holds up the loop; beat and deadline are due together then, and no healthy child is killed."""
    log = EventLog()

    async def start(*, beat: Callable[[], None]) -> None:
        while True:
            await trio.sleep(1.0)
            beat()

    spec = SupervisorSpec(children=[ChildSpec(f"c{n}", start, heartbeat=5.0) for n in range(20)])
    async with open_supervisor(spec, on_event=Inline(log)):
        await wait_all_tasks_blocked()
        mock_clock.jump(30.0)
        await wait_all_tasks_blocked()
    assert log.of(HeartbeatMissed) == []


async def test_timers_end_with_what_they_are_for() -> None:
    async def start(*, beat: Callable[[], None]) -> None:
        if attempts.attempts < 50:
            attempts.attempts += 1
            raise ValueError
        await trio.sleep_forever()

    attempts, waits = Puppet(), Puppet()
    spec = SupervisorSpec(
        children=[
            ChildSpec("beats", SupervisorSpec(intensity=99, children=[ChildSpec("x", start, heartbeat=3600.0)])),
            ChildSpec("waits", SupervisorSpec(backoff=Backoff(3600, 3600), children=[ChildSpec("y", waits.run)])),
        ]
    )
    async with open_supervisor(spec) as supervisor:
        before = trio.lowlevel.current_statistics().tasks_living
        await wait_all_tasks_blocked()
        for _ in range(20):
            waits.fail()
            await wait_all_tasks_blocked()
            await supervisor.find("waits").terminate_child("y")
            await supervisor.find("waits").restart_child("y")
        await wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living <= before + 2


async def test_a_lost_heartbeat_is_the_reason_whatever_the_stop_policy(autojump_clock: MockClock) -> None:
    log = EventLog()

    async def start(*, beat: Callable[[], None]) -> None:
        await trio.sleep_forever()

    spec = ChildSpec("a", start, Restart.TEMPORARY, heartbeat=1.0, shutdown=Kill())
    async with open_supervisor(SupervisorSpec(children=[spec]), on_event=Inline(log)):
        await trio.sleep(2)
    exit = log.of(Exited)[0].exit
    assert isinstance(exit, Error)
    assert isinstance(exit.exception, HeartbeatLost)
