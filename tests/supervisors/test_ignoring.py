"""A child that says it is not wanted: at its first start, at a restart, and too late."""

from __future__ import annotations

from typing import Any

import pytest
from trio.testing import wait_all_tasks_blocked

from anima_supervisors import (
    AutoShutdown,
    ChildSpec,
    DynamicSupervisorSpec,
    Error,
    Exited,
    Handle,
    Ignore,
    Ignored,
    Inline,
    Normal,
    Restart,
    RestartScheduled,
    StartIgnored,
    State,
    Strategy,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, check_log


async def test_ignore_before_started_is_a_success_with_no_child() -> None:
    async def start(*, task_status: Any) -> None:
        raise Ignore

    log = EventLog()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        assert await supervisor.start_child(ChildSpec("a", start)) == Ignored("a")
        assert await supervisor.start_child(ChildSpec("b", start, Restart.TEMPORARY)) == Ignored("b")
        assert [child.id for child in await supervisor.which_children()] == ["a"]
    assert log.paths(StartIgnored) == ["root/a", "root/b"]


async def test_ignore_from_a_child_that_is_up_is_an_error() -> None:
    async def start() -> None:
        raise Ignore

    log = EventLog()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        await supervisor.start_child(ChildSpec("a", start, Restart.TEMPORARY))
        await wait_all_tasks_blocked()
        [exited] = log.of(Exited)
    assert isinstance(exited.exit, Error)


class WantedOnce:
    """Ends with an error, and says at its next start that it is not wanted."""

    def __init__(self, ignore: BaseException | None = None) -> None:
        self.attempts = 0
        self._ignore = ignore or Ignore()

    async def __call__(self, *, task_status: Any) -> None:
        self.attempts += 1
        if self.attempts > 1:
            raise self._ignore
        task_status.started()
        raise ValueError("broken")


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("restart", [Restart.PERMANENT, Restart.TRANSIENT])
@pytest.mark.parametrize("strategy", Strategy)
async def test_at_a_restart_it_is_down_and_its_spec_is_kept(
    strategy: Strategy, restart: Restart, at_once: bool
) -> None:
    child = WantedOnce()
    significant = restart is not Restart.PERMANENT
    spec = ChildSpec("a", child, restart, up_again_at_once=at_once, significant=significant)
    root = SupervisorSpec(strategy=strategy, children=[spec], auto_shutdown=AutoShutdown.ANY_SIGNIFICANT)
    async with open_supervisor(root) as supervisor:
        await wait_all_tasks_blocked()
        assert child.attempts == 2
        assert [(child.id, child.state) for child in await supervisor.which_children()] == [("a", State.DOWN)]
        assert supervisor.exit is None


@pytest.mark.parametrize("at_once", [False, True])
async def test_a_dynamic_supervisor_forgets_it(at_once: bool) -> None:
    child = WantedOnce()
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        await supervisor.start_child(ChildSpec("a", child, up_again_at_once=at_once))
        await wait_all_tasks_blocked()
        assert child.attempts == 2
        assert await supervisor.which_children() == []


async def test_one_that_counts_as_up_again_ends_normally() -> None:
    log = EventLog()
    child = ChildSpec("a", WantedOnce(ExceptionGroup("from a nursery", [Ignore()])), up_again_at_once=True)
    async with open_supervisor(SupervisorSpec(children=[child]), on_event=Inline(log)):
        await wait_all_tasks_blocked()
    check_log(log.events)
    first, second = [event.exit for event in log.of(Exited) if event.path == "root/a"]
    assert isinstance(first, Error)
    assert second == Normal()
    assert log.paths(RestartScheduled) == ["root/a"]


async def test_once_it_has_said_that_it_is_up_again_it_is_an_error_like_any_other() -> None:
    attempts = 0

    async def start(*, handle: Handle) -> None:
        nonlocal attempts
        attempts += 1
        handle.started()
        if attempts == 2:
            raise Ignore
        if attempts == 1:
            raise ValueError("broken")
        with pytest.raises(RuntimeError, match="twice"):
            handle.started()

    log = EventLog()
    spec = ChildSpec("a", start, Restart.TRANSIENT, up_again_at_once=True)
    async with open_supervisor(SupervisorSpec(children=[spec]), on_event=Inline(log)):
        await wait_all_tasks_blocked()
        exits = [type(event.exit) for event in log.of(Exited)]
    assert exits == [Error, Error, Normal]
