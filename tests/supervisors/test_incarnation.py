"""How a child starts and what it ends with: the start protocol, exits, groups, cancellations that are not its own."""

from __future__ import annotations

import contextvars
import gc
import weakref
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    After,
    BadFactory,
    ChildSpec,
    ChildStartFailed,
    CleanExit,
    DoNotRestart,
    Error,
    Exit,
    Exited,
    Ignore,
    Ignored,
    Inline,
    Killed,
    Normal,
    Restart,
    ReturnedBeforeStarted,
    Shutdown,
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


async def test_a_child_that_returns_exits_normally() -> None:
    async def start() -> None: ...

    assert await exit_of(start) == Normal()


async def test_a_child_that_raises_exits_with_the_very_exception() -> None:
    error = ValueError("boom")

    async def start() -> None:
        raise error

    assert await exit_of(start) == Error(error)


async def test_a_group_stays_one_object_in_the_exit() -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def start() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, ValueError())
            nursery.start_soon(fail, KeyError())

    exit = await exit_of(start)
    assert isinstance(exit, Error)
    assert isinstance(exit.exception, ExceptionGroup)
    assert {type(error) for error in exit.exception.exceptions} == {ValueError, KeyError}


async def test_a_child_can_end_cleanly_with_information_from_any_depth() -> None:
    async def deep() -> None:
        raise CleanExit("done with 7")

    async def start() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(deep)

    assert await exit_of(start) == Shutdown("done with 7")


async def test_a_clean_exit_beside_a_real_error_is_an_error() -> None:
    async def start() -> None:
        raise ExceptionGroup("", [CleanExit(), ValueError()])

    assert isinstance(await exit_of(start), Error)


async def test_a_permanent_child_that_says_do_not_restart_me_is_not_and_keeps_its_spec() -> None:
    async def start() -> None:
        raise DoNotRestart("enough")

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start)])) as supervisor:
        await wait_all_tasks_blocked()
        assert [(child.id, child.state) for child in await supervisor.which_children()] == [("a", State.DOWN)]


async def test_a_permanent_child_that_only_ends_cleanly_is_restarted() -> None:
    starts = 0

    async def start() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise CleanExit
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start)])):
        await wait_all_tasks_blocked()
    assert starts == 2


async def test_a_child_killed_from_outside_exits_as_killed_whatever_its_cleanup_raises() -> None:
    log = EventLog()

    async def start() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("in the cleanup")

    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY))
        await wait_all_tasks_blocked()
        kill(supervisor, "a")
        await wait_all_tasks_blocked()
    (exited,) = [event for event in log.of(Exited) if event.path == "root/a"]
    assert isinstance(exited.exit, Killed)
    assert isinstance(exited.exit.error, ValueError)
    assert not exited.stopped


async def test_a_stray_cancelled_that_a_child_raises_again_is_an_error_of_its_own() -> None:
    async def start() -> None:
        caught: list[trio.Cancelled] = []
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as error:
                caught.append(error)
                raise
        raise caught[0]

    exit = await exit_of(start)
    assert isinstance(exit, Error)
    assert isinstance(exit.exception, trio.Cancelled)


async def test_a_timeout_of_its_own_is_an_error_and_no_stop(autojump_clock: MockClock) -> None:
    async def start() -> None:
        with trio.fail_after(1):
            await trio.sleep_forever()

    log = EventLog()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY))
        await trio.sleep(2)
    (exited,) = [event for event in log.of(Exited) if event.path == "root/a"]
    assert isinstance(exited.exit, Error)
    assert isinstance(exited.exit.exception, trio.TooSlowError)


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


# Context and memory

_variable = contextvars.ContextVar("_variable", default="default")


async def test_a_restart_has_the_context_of_the_first_start_without_what_the_last_incarnation_set() -> None:
    seen: list[str] = []

    async def start() -> None:
        seen.append(_variable.get())
        _variable.set("set by a child")
        if len(seen) < 3:
            raise ValueError
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec()) as supervisor:
        _variable.set("the caller's")
        await supervisor.start_child(ChildSpec("a", start))
        _variable.set("later")
        await wait_all_tasks_blocked()
    assert seen == ["the caller's"] * 3


async def test_a_dead_incarnation_is_not_kept_alive_by_its_traceback() -> None:
    class Big: ...

    kept: list[weakref.ref[Big]] = []

    async def start() -> None:
        big = Big()
        kept.append(weakref.ref(big))
        if len(kept) == 1:
            raise ValueError("with a frame that holds something big")
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start)])) as supervisor:
        await wait_all_tasks_blocked()
        gc.collect()
        assert kept[0]() is None
        assert supervisor.snapshot().children[0].last_error == "ValueError: with a frame that holds something big"


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


async def test_a_child_that_started_another_and_died_is_not_kept_alive_by_it() -> None:
    class Big: ...

    kept: list[weakref.ref[Big]] = []

    async def sibling() -> None:
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec()) as supervisor:

        async def start() -> None:
            big = Big()
            kept.append(weakref.ref(big))
            await supervisor.start_child(ChildSpec("sibling", sibling))
            raise ValueError

        await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY))
        await wait_all_tasks_blocked()
        gc.collect()
        assert kept[0]() is None


async def test_an_exception_whose_text_cannot_be_shown_is_a_crash_like_any_other() -> None:
    class Broken(Exception):
        def __str__(self) -> str:
            raise RuntimeError("broken __str__")

    starts = 0

    async def start() -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise Broken
        await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start)])) as supervisor:
        await wait_all_tasks_blocked()
        assert supervisor.snapshot().children[0].last_error == "Broken: its text cannot be shown"
    assert starts == 2


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


@pytest.mark.parametrize("with_status", [False, True])
async def test_a_crash_leaves_nothing_to_the_garbage_collector(with_status: bool) -> None:
    """A crash loop is fast and the collector is slow: there must be no circle through a dead incarnation."""
    crash = trio.Event()

    async def plain() -> None:
        await crash.wait()
        raise ValueError

    async def says_it_is_up(*, task_status: Any) -> None:
        task_status.started()
        await plain()

    start = says_it_is_up if with_status else plain
    async with open_supervisor(SupervisorSpec(intensity=99, children=[ChildSpec("a", start)])):

        async def crash_once() -> None:
            nonlocal crash
            await wait_all_tasks_blocked()
            before, crash = crash, trio.Event()
            before.set()
            await wait_all_tasks_blocked()

        await crash_once()
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                await crash_once()
            assert gc.collect() == 0
        finally:
            gc.enable()
