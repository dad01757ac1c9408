"""What a child ends with: exits, groups, cancellations that are not its own; and what it leaves to the memory."""

from __future__ import annotations

import contextvars
import gc
import weakref
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    ChildSpec,
    CleanExit,
    DoNotRestart,
    Error,
    Exit,
    Exited,
    Inline,
    Killed,
    Normal,
    Restart,
    Shutdown,
    State,
    SupervisorSpec,
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
