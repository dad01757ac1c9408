"""Tasks under a supervisor: results and failures as values, and a bounded map over a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import (
    DynamicSupervisorSpec,
    Error,
    Exited,
    Failure,
    Inline,
    Shutdown,
    Stuck,
    Success,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, check_log


async def double(x: int) -> int:
    await trio.sleep(x)
    return 2 * x


async def test_the_result_of_a_task_is_a_value(autojump_clock: MockClock) -> None:
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        assert await supervisor.run_task(double, 4) == Success(8)
        assert await supervisor.which_children() == []


async def test_the_failure_of_a_task_is_a_value_and_hurts_nobody() -> None:
    error = ValueError("boom")

    async def fail() -> None:
        raise error

    async with open_supervisor(SupervisorSpec(intensity=0)) as supervisor:
        assert await supervisor.run_task(fail) == Failure(Error(error))
        assert supervisor.exit is None


async def test_a_task_whose_supervisor_is_stopped_has_failed_by_a_shutdown() -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor, trio.open_nursery() as nursery:
        outcomes: list[object] = []

        async def ask() -> None:
            with trio.CancelScope(shield=True):
                outcomes.append(await supervisor.run_task(trio.sleep_forever))

        nursery.start_soon(ask)
        await wait_all_tasks_blocked()
        supervisor.stop()
    assert outcomes == [Failure(Shutdown())]


async def test_who_gives_up_waiting_stops_the_task(autojump_clock: MockClock) -> None:
    log = EventLog()
    async with open_supervisor(DynamicSupervisorSpec(), on_event=Inline(log)) as supervisor:
        with trio.move_on_after(1):
            await supervisor.run_task(trio.sleep_forever, name="wait")
        await wait_all_tasks_blocked()
        assert await supervisor.which_children() == []
    assert log.paths(Exited)[0] == "root/wait-1"
    check_log(log.events)


async def test_a_mapped_stream_keeps_the_order_and_the_bound(autojump_clock: MockClock) -> None:
    running = most = 0

    async def work(x: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            return await double(x)
        finally:
            running -= 1

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        async with supervisor.map_stream(work, [5, 1, 4, 2, 3], limit=2) as outcomes:
            assert [outcome async for outcome in outcomes] == [Success(2 * x) for x in (5, 1, 4, 2, 3)]
    assert most == 2


async def test_a_failure_in_a_mapped_stream_stands_at_its_place() -> None:
    async def work(x: int) -> int:
        if x == 1:
            raise ValueError
        return x

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        async with supervisor.map_stream(work, range(3), limit=8) as outcomes:
            kinds = [type(outcome) async for outcome in outcomes]
    assert kinds == [Success, Failure, Success]


async def test_a_mapped_stream_takes_no_more_than_it_may_from_an_endless_source(autojump_clock: MockClock) -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield 0

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        async with supervisor.map_stream(double, endless(), limit=3) as outcomes:
            assert await anext(outcomes) == Success(0)
            await trio.sleep(100)
            assert taken <= 2 * 3 + 1
        assert await supervisor.which_children() == []


async def test_a_mapped_stream_takes_an_asynchronous_source_too() -> None:
    async def source() -> AsyncIterator[int]:
        for x in range(3):
            await trio.lowlevel.checkpoint()
            yield x

    async def same(x: int) -> int:
        return x

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        async with supervisor.map_stream(same, source(), limit=2) as outcomes:
            assert [outcome async for outcome in outcomes] == [Success(x) for x in range(3)]


async def test_a_limit_below_one_is_refused() -> None:
    async with open_supervisor(SupervisorSpec()) as supervisor:
        with pytest.raises(ValueError, match="limit"):
            async with supervisor.map_stream(double, [], limit=0):
                pass


async def test_tasks_leave_nothing_behind_however_many_there_were() -> None:
    async def quick() -> None: ...

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        for _ in range(200):
            await supervisor.run_task(quick)
        await supervisor.count_children()
        assert len(supervisor._tree.attempts) == 1  # the root's own
        assert supervisor._life._calls == {}


async def test_tasks_that_nobody_waits_for_any_more_stop_side_by_side(autojump_clock: MockClock) -> None:
    async def slow_to_stop() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(1)

    async with open_supervisor(SupervisorSpec()) as supervisor:
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(supervisor.run_task, slow_to_stop)
            await wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        before = trio.current_time()
        await supervisor.count_children()
        assert trio.current_time() == before
    assert trio.current_time() - before == 1


async def test_what_a_source_raises_stands_at_its_place_and_the_source_is_closed() -> None:
    closed = False

    async def source() -> AsyncIterator[int]:
        nonlocal closed
        try:
            yield 1
            raise ValueError("the source")
        finally:
            closed = True

    async def same(x: int) -> int:
        return x

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        async with supervisor.map_stream(same, source(), limit=2) as outcomes:
            assert await anext(outcomes) == Success(1)
            with pytest.raises(ValueError, match="the source"):
                await anext(outcomes)
    assert closed


async def test_what_the_block_of_a_mapped_stream_raises_comes_out_as_it_is() -> None:
    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        with pytest.raises(KeyError):
            async with supervisor.map_stream(double, [1, 2, 3], limit=2):
                raise KeyError
        await wait_all_tasks_blocked()
        assert await supervisor.which_children() == []


async def test_a_task_that_nobody_waits_for_and_that_is_deaf_is_reported_as_stuck(autojump_clock: MockClock) -> None:
    log = EventLog()
    release = trio.Event()

    async def deaf() -> None:
        with trio.CancelScope(shield=True):
            await release.wait()

    async with open_supervisor(DynamicSupervisorSpec(), on_event=Inline(log)) as supervisor:
        with trio.move_on_after(1):
            await supervisor.run_task(deaf)
        await trio.sleep(5 + 1 + 1)
        assert log.paths(Stuck) == ["root/task-1"]
        release.set()
        await wait_all_tasks_blocked()
        assert await supervisor.which_children() == []
