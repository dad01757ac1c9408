"""The root: what comes out of `async with open_supervisor(...)`, and what happens to the block."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    AutoShutdown,
    BadSpec,
    ChildEscalated,
    ChildSpec,
    ChildStartFailed,
    Exited,
    GaveUp,
    Inline,
    OnError,
    Restart,
    RestartIntensityExceeded,
    Shutdown,
    StopRequest,
    SupervisorSpec,
    SupervisorStopped,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, Puppet, Start, check_log


async def idle() -> None:
    await trio.sleep_forever()


async def crash(error: BaseException) -> None:
    raise error


async def test_a_tree_whose_children_are_all_done_stays_up() -> None:
    async def done() -> None: ...

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", done, Restart.TRANSIENT)])) as supervisor:
        await wait_all_tasks_blocked()
        assert supervisor.exit is None


async def test_an_auto_shutdown_cancels_the_block_and_ends_it_without_an_error() -> None:
    puppet = Puppet()
    spec = SupervisorSpec(
        auto_shutdown=AutoShutdown.ANY_SIGNIFICANT,
        children=[ChildSpec("a", puppet.run, Restart.TRANSIENT, significant=True)],
    )
    async with open_supervisor(spec) as supervisor:
        puppet.finish()
        await trio.sleep_forever()
    assert supervisor.exit == Shutdown()


async def test_giving_up_cancels_the_block_and_comes_out_as_one_error_with_its_cause() -> None:
    log = EventLog()
    boom = ValueError("boom")
    spec = SupervisorSpec(intensity=0, children=[ChildSpec("b", idle), ChildSpec("a", functools.partial(crash, boom))])
    with pytest.raises(RestartIntensityExceeded) as caught:
        async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
            await trio.sleep_forever()
    assert caught.value.__cause__ is boom
    assert supervisor.exit == Shutdown(caught.value)
    assert [e.path for e in log.of(GaveUp, Exited)] == ["root/a", "root", "root/b", "root"]
    check_log(log.events)


async def test_a_failed_first_start_comes_out_as_one_error_and_what_had_started_is_stopped() -> None:
    log = EventLog()
    spec = SupervisorSpec(children=[ChildSpec("a", idle), ChildSpec("b", Puppet([Start.FAIL]).run)])
    with pytest.raises(ChildStartFailed, match="root/b did not start: PuppetError") as caught:
        async with open_supervisor(spec, on_event=Inline(log)):
            pytest.fail("the block must not run")
    assert caught.value.path == "root/b"
    assert log.paths(Exited) == ["root/a"]
    check_log(log.events)


async def test_a_failed_first_start_deep_in_the_tree_names_the_way_to_it() -> None:
    inner = SupervisorSpec(children=[ChildSpec("x", Puppet([Start.FAIL]).run)])
    with pytest.raises(ChildStartFailed) as caught:
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("in", inner)])):
            pass
    assert caught.value.path == "root/in"
    assert isinstance(caught.value.__cause__, ChildStartFailed)
    assert caught.value.__cause__.path == "root/in/x"


async def test_an_error_of_the_block_comes_out_as_it_is_after_an_ordered_stop() -> None:
    log = EventLog()
    stopped: list[str] = []

    async def polite(*, stop: StopRequest) -> None:
        await stop.wait()
        stopped.append("asked, not cancelled")

    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", polite)]), on_event=Inline(log)):
            raise error
    assert caught.value is error
    assert stopped == ["asked, not cancelled"]


async def test_if_the_block_raises_when_the_root_gives_up_both_errors_come_out() -> None:
    spec = SupervisorSpec(intensity=0, children=[ChildSpec("a", functools.partial(crash, OSError()))])
    with pytest.raises(ExceptionGroup) as caught:
        async with open_supervisor(spec):
            try:
                await trio.sleep_forever()
            finally:
                raise ValueError("mine")
    assert [type(error) for error in caught.value.exceptions] == [RestartIntensityExceeded, ValueError]


async def test_a_call_of_the_block_in_flight_at_a_give_up_turns_nothing_into_a_group() -> None:
    starting = trio.Event()

    async def never_up(*, task_status: Any) -> None:
        starting.set()
        await trio.sleep_forever()

    puppet = Puppet()
    with pytest.raises(RestartIntensityExceeded):
        async with open_supervisor(SupervisorSpec(intensity=0, children=[ChildSpec("a", puppet.run)])) as supervisor:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(supervisor.which_children)
                await wait_all_tasks_blocked()
                puppet.fail()
                await trio.sleep_forever()


async def test_an_error_escalated_to_the_top_comes_out_with_the_error_as_its_cause() -> None:
    boom = OSError("disk full")
    spec = ChildSpec("a", functools.partial(crash, boom), on_error={OSError: OnError.ESCALATE})
    with pytest.raises(ChildEscalated, match="root/a") as caught:
        async with open_supervisor(SupervisorSpec(children=[spec])):
            await trio.sleep_forever()
    assert caught.value.__cause__ is boom


async def test_stop_with_an_error_raises_that_error() -> None:
    from anima_supervisors import Error

    with pytest.raises(ValueError, match="why"):
        async with open_supervisor(SupervisorSpec()) as supervisor:
            supervisor.stop(Error(ValueError("why")))
            await trio.sleep_forever()


async def test_a_supervisor_that_has_ended_answers_no_call() -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor:
        pass
    with pytest.raises(SupervisorStopped, match="root"):
        await supervisor.which_children()


async def test_only_a_supervisors_spec_can_be_opened() -> None:
    with pytest.raises(BadSpec, match="SupervisorSpec"):
        async with open_supervisor(ChildSpec("a", idle)):  # type: ignore[arg-type]
            pass


# What is no failure of a child


class Custom(BaseException):
    pass


@pytest.mark.parametrize("fatal", [KeyboardInterrupt, SystemExit, GeneratorExit, Custom])
@pytest.mark.parametrize("grouped", [False, True], ids=["bare", "in groups"])
@pytest.mark.parametrize("depth", [0, 2])
async def test_what_is_no_failure_stops_the_tree_in_order_and_comes_out_as_it_is(
    fatal: type[BaseException], grouped: bool, depth: int
) -> None:
    log = EventLog()
    go = trio.Event()
    error = fatal("out")

    async def start() -> None:
        await go.wait()
        raise BaseExceptionGroup("", [BaseExceptionGroup("", [error])]) if grouped else error

    spec = SupervisorSpec(children=[ChildSpec("a", idle), ChildSpec("bad", start), ChildSpec("b", idle)])
    for _ in range(depth):
        spec = SupervisorSpec(children=[ChildSpec("in", spec)])
    with pytest.raises(fatal) as caught:
        async with open_supervisor(spec, on_event=Inline(log)):
            go.set()
            await trio.sleep_forever()
    assert caught.value is error
    stopped = [path.rpartition("/")[2] for path in log.paths(Exited)]
    assert stopped[:3] == ["bad", "b", "a"]
    check_log(log.events)


async def test_a_keyboard_interrupt_during_a_first_start_comes_out() -> None:
    async def start(*, task_status: Any) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", idle), ChildSpec("b", start)])):
            pass


async def test_a_keyboard_interrupt_in_a_restart_attempt_is_not_retried() -> None:
    attempts = 0

    async def start(*, task_status: Any) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            raise KeyboardInterrupt
        task_status.started()
        raise ValueError

    with pytest.raises(KeyboardInterrupt):
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start)])):
            await trio.sleep_forever()
    assert attempts == 2


async def test_a_system_exit_beside_an_error_of_the_block_loses_neither() -> None:
    go = trio.Event()

    async def start() -> None:
        await go.wait()
        raise SystemExit(3)

    with pytest.raises(BaseExceptionGroup) as caught:
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start)])):
            try:
                go.set()
                await trio.sleep_forever()
            finally:
                raise ValueError("mine")
    assert {type(error) for error in caught.value.exceptions} == {SystemExit, ValueError}


async def test_a_timeout_around_the_whole_tree_is_caught_by_its_own_scope(autojump_clock: MockClock) -> None:
    with pytest.raises(trio.TooSlowError):
        with trio.fail_after(1):
            async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", idle)])):
                await trio.sleep_forever()


async def test_trees_can_be_opened_inside_the_children_of_another() -> None:
    log = EventLog()

    async def nested(*, task_status: Any) -> None:
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("x", idle)]), name="own", on_event=Inline(log)):
            task_status.started()
            await trio.sleep_forever()

    async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", nested)]), on_event=Inline(log)):
        pass
    assert log.paths(Exited) == ["own/x", "own", "root/a", "root"]


async def test_a_give_up_is_not_lost_when_an_outer_cancellation_comes_during_its_stop(
    autojump_clock: MockClock,
) -> None:
    async def slow(*, stop: StopRequest) -> None:
        await stop.wait()
        await trio.sleep(3)

    spec = SupervisorSpec(
        intensity=0, children=[ChildSpec("slow", slow), ChildSpec("bad", functools.partial(crash, ValueError()))]
    )
    with pytest.raises(ExceptionGroup) as caught:
        with trio.move_on_after(1) as scope:
            async with open_supervisor(spec) as supervisor:
                await trio.sleep_forever()
    assert scope.cancel_called
    assert [type(error) for error in caught.value.exceptions] == [RestartIntensityExceeded]
    assert supervisor.exit == Shutdown(caught.value.exceptions[0])


async def test_a_failed_first_start_is_not_lost_when_an_outer_cancellation_comes_during_its_rollback(
    autojump_clock: MockClock,
) -> None:
    async def slow(*, stop: StopRequest) -> None:
        await stop.wait()
        await trio.sleep(3)

    spec = SupervisorSpec(children=[ChildSpec("slow", slow), ChildSpec("bad", Puppet([Start.FAIL]).run)])
    with pytest.raises(ExceptionGroup) as caught:
        with trio.move_on_after(1):
            async with open_supervisor(spec):
                pass
    assert [type(error) for error in caught.value.exceptions] == [ChildStartFailed]


async def test_two_interrupts_are_one() -> None:
    go = trio.Event()

    async def start() -> None:
        await go.wait()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        async with open_supervisor(SupervisorSpec(children=[ChildSpec("a", start), ChildSpec("b", start)])):
            go.set()
            await trio.sleep_forever()
