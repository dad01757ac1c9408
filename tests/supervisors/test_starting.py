"""How a child starts: the start protocol, its timeout, specs that are made at each start."""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    After,
    BadFactory,
    ChildSpec,
    ChildStartFailed,
    Error,
    Exit,
    Exited,
    Ignore,
    Ignored,
    Inline,
    Restart,
    ReturnedBeforeStarted,
    SpecFactory,
    Started,
    StartFailed,
    StartTimeout,
    State,
    Supervisor,
    SupervisorSpec,
    Up,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, kill


async def exit_of(start: Any, restart: Restart = Restart.TEMPORARY) -> Exit:
    """What a child that runs `start` ends with by itself."""
    log = EventLog()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        await supervisor.start_child(ChildSpec("a", start, restart))
        await wait_all_tasks_blocked()
    return next(event.exit for event in log.of(Exited) if event.path == "root/a")


# Starting


async def test_a_child_with_task_status_is_up_when_it_says_so_and_its_value_goes_to_the_caller() -> None:
    async def start(*, task_status: Any) -> None:
        await trio.lowlevel.checkpoint()
        task_status.started("port 80")
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec()) as supervisor:
        assert await supervisor.start_child(ChildSpec("a", start)) == Up("a", 1, "port 80")


async def test_a_child_without_task_status_is_up_at_once() -> None:
    async def start() -> None:
        await trio.sleep_forever()

    log = EventLog()
    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start)]), on_event=Inline(log)):
        assert log.paths(Started) == ["root/a", "root"]


async def test_started_twice_is_an_error_of_the_child() -> None:
    async def start(*, task_status: Any) -> None:
        task_status.started()
        task_status.started()

    exit = await exit_of(start)
    assert isinstance(exit, Error)
    assert isinstance(exit.exception, RuntimeError)


async def test_a_return_before_started_is_a_failed_start() -> None:
    async def start(*, task_status: Any) -> None: ...

    async with open_supervisor(SupervisorSpec()) as supervisor:
        with pytest.raises(ChildStartFailed, match="root/a") as caught:
            await supervisor.start_child(ChildSpec("a", start))
        assert isinstance(caught.value.__cause__, ReturnedBeforeStarted)


async def test_a_child_that_is_started_and_gone_before_anybody_looks_has_started() -> None:
    async def start(*, task_status: Any) -> None:
        task_status.started(1)

    async with open_supervisor(SupervisorSpec()) as supervisor:
        assert await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY)) == Up("a", 1, 1)
        assert await supervisor.which_children() == []


async def test_a_start_that_takes_too_long_is_cancelled_and_failed(autojump_clock: MockClock) -> None:
    async def start(*, task_status: Any) -> None:
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec()) as supervisor:
        before = trio.current_time()
        with pytest.raises(ChildStartFailed) as caught:
            await supervisor.start_child(ChildSpec("a", start, start_timeout=3.0))
        assert trio.current_time() - before == 3.0
        assert isinstance(caught.value.__cause__, StartTimeout)


async def test_the_start_timeout_does_not_count_for_a_child_that_is_up(autojump_clock: MockClock) -> None:
    async def start(*, task_status: Any) -> None:
        task_status.started()
        await trio.sleep_forever()

    log = EventLog()
    spec = SupervisorSpec(children=[ChildSpec("a", start, start_timeout=3.0)])
    async with open_supervisor(spec, on_event=Inline(log)):
        await trio.sleep(10)
        assert log.of(Exited) == []


async def test_a_start_that_is_deaf_to_its_timeout_is_reported_as_stuck(autojump_clock: MockClock) -> None:
    release = trio.Event()

    async def start(*, task_status: Any) -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    async with open_supervisor(SupervisorSpec()) as supervisor:
        before = trio.current_time()
        with pytest.raises(ChildStartFailed, match="stuck"):
            await supervisor.start_child(ChildSpec("a", start, start_timeout=3.0, shutdown=After(2.0)))
        assert trio.current_time() - before == 3.0 + 2.0 + 1.0
        assert [node.state for node in supervisor.snapshot().children] == [State.STUCK]
        release.set()
        await wait_all_tasks_blocked()
        assert supervisor.snapshot().children == ()


# Specs made at each start


async def test_a_factory_makes_the_spec_anew_at_each_restart() -> None:
    made: list[str] = []
    running: list[str] = []

    async def make() -> Any:
        name = f"run {len(made)}"
        made.append(name)

        async def start() -> None:
            running.append(name)
            if len(running) == 1:
                raise ValueError
            await trio.sleep_forever()

        return start

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", SpecFactory(make, supervisor=False))])):
        await wait_all_tasks_blocked()
    assert running == ["run 0", "run 1"]


async def test_a_factory_may_make_a_supervisor_ignore_or_fail() -> None:
    async def idle() -> None:
        await trio.sleep_forever()

    async def make() -> SupervisorSpec:
        return SupervisorSpec(children=[ChildSpec("x", idle)])

    async def ignore() -> SupervisorSpec:
        raise Ignore

    async def fail() -> SupervisorSpec:
        raise ValueError("no database")

    async with open_supervisor(SupervisorSpec()) as supervisor:
        result = await supervisor.start_child(ChildSpec("made", SpecFactory(make)))
        assert isinstance(result, Up)
        assert isinstance(result.value, Supervisor)
        assert result.value is supervisor.find("made")
        assert await supervisor.start_child(ChildSpec("not", SpecFactory(ignore))) == Ignored("not")
        with pytest.raises(ChildStartFailed, match="no database"):
            await supervisor.start_child(ChildSpec("bad", SpecFactory(fail)))


async def test_a_factory_that_makes_something_else_is_a_failed_start() -> None:
    async def make() -> Any:
        return "nonsense"

    async with open_supervisor(SupervisorSpec()) as supervisor:
        with pytest.raises(ChildStartFailed, match="nonsense") as caught:
            await supervisor.start_child(ChildSpec("a", SpecFactory(make)))
        assert isinstance(caught.value.__cause__, BadFactory)


async def test_a_failed_start_is_told_with_its_error() -> None:
    async def start(*, task_status: Any) -> None:
        raise OSError("no such device")

    log = EventLog()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        with pytest.raises(ChildStartFailed, match="no such device"):
            await supervisor.start_child(ChildSpec("a", start))
        assert await supervisor.which_children() == []
    (failed,) = log.of(StartFailed)
    assert (failed.path, failed.incarnation, str(failed.error)) == ("root/a", 1, "no such device")


async def test_a_start_that_is_late_is_reported_as_timed_out_even_if_it_says_started(autojump_clock: MockClock) -> None:
    async def start(*, task_status: Any) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(4)
        task_status.started()

    async with open_supervisor(SupervisorSpec()) as supervisor:
        with pytest.raises(ChildStartFailed) as caught:
            await supervisor.start_child(ChildSpec("a", start, start_timeout=3.0))
    assert isinstance(caught.value.__cause__, StartTimeout)


async def test_a_child_killed_during_its_start_has_failed_to_start() -> None:
    async def start(*, task_status: Any) -> None:
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec()) as supervisor, trio.open_nursery() as nursery:

        async def start_it() -> None:
            with pytest.raises(ChildStartFailed, match="stopped during its start"):
                await supervisor.start_child(ChildSpec("a", start))

        nursery.start_soon(start_it)
        await wait_all_tasks_blocked()
        kill(supervisor, "a")
