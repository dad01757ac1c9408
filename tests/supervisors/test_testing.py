"""What users get for tests of their own trees, used as they would use it: random trees, random crashes."""

from __future__ import annotations

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from anima_supervisors import ChildNotFound, ChildSpec, Exited, Inline, Started, SupervisorError, SupervisorSpec
from anima_supervisors import open_supervisor as open_tree
from anima_supervisors.testing import EventLog, Puppet, PuppetTree, check_log, held, incarnation_at, kill, trees


@settings(max_examples=60)
@given(trees(), st.lists(st.tuples(st.integers(0, 50), st.sampled_from(["finish", "end", "fail"])), max_size=8))
def test_whatever_crashes_in_whatever_tree_the_invariants_hold(tree: PuppetTree, script: list[tuple[int, str]]) -> None:
    log = EventLog()

    async def run() -> None:
        try:
            async with open_tree(tree.spec, on_event=Inline(log)):
                for which, order in script:
                    running = [puppet for puppet in tree.puppets.values() if puppet.running]
                    if running:
                        getattr(running[which % len(running)], order)()
                    await wait_all_tasks_blocked()
        except SupervisorError:
            pass  # it gave up, or did not start: that is allowed, and the log has to be sound all the same

    trio.run(run, clock=MockClock(autojump_threshold=0))
    check_log(log.events)
    assert all(puppet.running == 0 for puppet in tree.puppets.values())


async def test_a_log_tells_orders_by_kind() -> None:
    log = EventLog()
    puppet = Puppet()
    async with open_tree(SupervisorSpec(children=[ChildSpec("a", puppet.run)]), on_event=Inline(log)):
        puppet.fail()
        await wait_all_tasks_blocked()
    assert log.paths(Started) == ["root/a", "root", "root/a"]
    assert [event.exit.word for event in log.of(Exited)] == ["error", "shutdown", "shutdown"]
    log.clear()
    assert log.events == []


async def test_inside_held_exits_pile_up_in_the_order_in_which_they_happen() -> None:
    log = EventLog()
    named = {id: Puppet() for id in "abc"}
    spec = SupervisorSpec(intensity=9, children=[ChildSpec(id, puppet.run) for id, puppet in named.items()])
    async with open_tree(spec, on_event=Inline(log)) as supervisor:
        log.clear()
        with held(supervisor):
            for id in ("c", "a", "b"):
                named[id].fail()
                await wait_all_tasks_blocked()
            assert log.paths(Started) == []
        await wait_all_tasks_blocked()
        assert log.paths(Started) == ["root/c", "root/a", "root/b"]


async def test_only_what_runs_can_be_killed() -> None:
    async with open_tree(SupervisorSpec()) as supervisor:
        with pytest.raises(ChildNotFound, match="root/nobody"):
            kill(supervisor, "nobody")
        with pytest.raises(ChildNotFound):
            incarnation_at(supervisor, "nobody/below")


def test_a_log_with_two_incarnations_at_once_is_refused() -> None:
    def started(id: int, incarnation: int) -> Started:
        return Started(id=id, time=0.0, path="root/a", incarnation=incarnation)

    with pytest.raises(AssertionError, match="still up"):
        check_log([started(1, 1), started(2, 2)])
    with pytest.raises(AssertionError, match="still up at the end"):
        check_log([started(1, 1)])
    check_log([started(1, 1)], ended=False)
