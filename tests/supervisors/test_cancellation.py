"""Outer cancellation at every checkpoint of a run: nothing is orphaned, nothing lost, and the order is kept.

Each scenario is run again and again, cancelled from outside at its first, second, ... scheduling step, until a run ends
before its cancellation comes. `pytest -s` prints how many steps that were.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
from trio.abc import Instrument
from trio.testing import MockClock

from anima_supervisors import (
    After,
    Backoff,
    ChildSpec,
    DynamicSupervisorSpec,
    Exited,
    Inline,
    Restart,
    Strategy,
    Supervisor,
    SupervisorError,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, OnStop, Puppet, Start, check_log

Body = Callable[[Supervisor, dict[str, Puppet]], Awaitable[None]]


async def turns(count: int = 12) -> None:
    for _ in range(count):
        await trio.lowlevel.checkpoint()


def tree(puppets: dict[str, Puppet], *, strategy: Strategy, backoff: Backoff | None = None) -> SupervisorSpec:
    def child(id: str, restart: Restart = Restart.PERMANENT) -> ChildSpec:
        return ChildSpec(id, puppets[id].run, restart, shutdown=After(1.0))

    inner = SupervisorSpec(strategy=Strategy.ONE_FOR_ALL, backoff=backoff, children=[child("x"), child("y")])
    return SupervisorSpec(
        strategy=strategy,
        backoff=backoff,
        children=[
            child("a"),
            ChildSpec("in", inner),
            child("b"),
            ChildSpec("dyn", DynamicSupervisorSpec()),
            child("c", Restart.TEMPORARY),
        ],
    )


async def start_only(supervisor: Supervisor, puppets: dict[str, Puppet]) -> None:
    await turns()


async def group_restart(supervisor: Supervisor, puppets: dict[str, Puppet]) -> None:
    puppets["a"].fail()
    await turns(60)


async def retries(supervisor: Supervisor, puppets: dict[str, Puppet]) -> None:
    puppets["b"].starts = [Start.OK, Start.FAIL, Start.FAIL]
    puppets["b"].fail()
    await turns(60)


async def backoff(supervisor: Supervisor, puppets: dict[str, Puppet]) -> None:
    puppets["x"].fail()
    await turns()
    puppets["a"].fail()
    await trio.sleep(5)


async def stop(supervisor: Supervisor, puppets: dict[str, Puppet]) -> None:
    puppets["y"].on_stop = OnStop.STUBBORN
    supervisor.stop()
    await trio.sleep_forever()


async def give_up(supervisor: Supervisor, puppets: dict[str, Puppet]) -> None:
    puppets["b"].starts = [Start.OK, *[Start.FAIL] * 9]
    puppets["b"].fail()
    await trio.sleep_forever()


async def calls(supervisor: Supervisor, puppets: dict[str, Puppet]) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervisor.terminate_child, "b")
        nursery.start_soon(supervisor.find("dyn").run_task, turns)
        nursery.start_soon(supervisor.which_children)
    await supervisor.restart_child("b")


class CancelAtStep(Instrument):
    """Cancels a scope before the n-th task step of a run."""

    def __init__(self, step: int, scope: trio.CancelScope) -> None:
        self.left = step
        self._scope = scope
        self.armed = False

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.armed:
            self.left -= 1
            if self.left == 0:
                self._scope.cancel()


@pytest.mark.parametrize("body", [start_only, group_restart, retries, backoff, stop, give_up, calls])
@pytest.mark.parametrize("strategy", [Strategy.ONE_FOR_ALL, Strategy.REST_FOR_ONE])
def test_whenever_a_tree_is_cancelled_it_stops_in_order_and_leaves_nothing(body: Body, strategy: Strategy) -> None:
    step = 0
    untouched = False
    while not untouched:
        step += 1
        untouched = trio.run(_one_run, body, strategy, step, clock=MockClock(autojump_threshold=0))
        assert step < 5000, "the run does not end"
    print(f"{body.__name__} {strategy.value}: cancelled at each of {step - 1} steps")


async def _one_run(body: Body, strategy: Strategy, step: int) -> bool:
    """Run `body`, cancelled at `step`; whether it ended before that."""
    puppets = {id: Puppet() for id in ("a", "b", "c", "x", "y")}
    spec = tree(puppets, strategy=strategy, backoff=Backoff(1, 1) if body is backoff else None)
    log = EventLog()
    scope = trio.CancelScope()
    instrument = CancelAtStep(step, scope)
    trio.lowlevel.add_instrument(instrument)
    expected = False
    with scope:
        instrument.armed = True
        try:
            async with open_supervisor(spec, on_event=Inline(log)) as supervisor:
                await body(supervisor, puppets)
        except* SupervisorError:
            expected = True
    instrument.armed = False
    check_log(log.events)
    assert all(puppet.running == 0 for puppet in puppets.values())
    assert expected or body is not give_up or scope.cancel_called
    _check_stop_order(log, leave_out={"root/b"} if body is calls else set())
    return not scope.cancel_called


def _check_stop_order(log: EventLog, leave_out: set[str]) -> None:
    """At the end, what its supervisor stops goes in reverse order. `leave_out`: what was terminated by a call."""
    order = ["root/a", "root/in", "root/b", "root/dyn", "root/c"]
    last = [event.path for event in log.events[_index_of_the_end(log) :] if isinstance(event, Exited) and event.stopped]
    stopped = [path for path in last if path in order and path not in leave_out]
    assert stopped == sorted(stopped, key=order.index, reverse=True)


def _index_of_the_end(log: EventLog) -> int:
    """Behind the last thing that was started: from there on it only goes down."""
    from anima_supervisors import Started, StartFailed

    starts = [n for n, event in enumerate(log.events) if isinstance(event, Started | StartFailed)]
    return starts[-1] + 1 if starts else 0
