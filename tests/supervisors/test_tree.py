"""What the supervisors of one tree share: how often each path was tried."""

from __future__ import annotations

from trio.testing import wait_all_tasks_blocked

from anima_supervisors import ChildSpec, DynamicSupervisorSpec, Restart, open_supervisor
from anima_supervisors._tree import KEPT, Attempts


def test_a_name_that_is_used_again_goes_on_counting() -> None:
    attempts = Attempts()
    assert attempts.add("root/a") == 1
    attempts.retire("root/a")
    assert attempts.add("root/a") == 2


def test_of_children_that_are_gone_for_good_only_the_last_are_remembered() -> None:
    attempts = Attempts()
    for number in range(2 * KEPT):
        attempts.add(f"root/{number}")
        attempts.retire(f"root/{number}")
    assert len(attempts) == KEPT
    assert attempts.of(f"root/{2 * KEPT - 1}") == 1
    assert attempts.of("root/0") == 0


def test_one_that_has_come_back_is_not_forgotten_for_those_that_have_not() -> None:
    attempts = Attempts()
    attempts.add("root/a")
    attempts.retire("root/a")
    attempts.add("root/a")
    for number in range(2 * KEPT):
        attempts.add(f"root/{number}")
        attempts.retire(f"root/{number}")
    assert attempts.of("root/a") == 2


async def test_children_of_ever_new_names_do_not_fill_the_memory() -> None:
    async def ends() -> None: ...

    async with open_supervisor(DynamicSupervisorSpec()) as supervisor:
        for number in range(100):
            await supervisor.start_child(ChildSpec(f"child-{number}", ends, Restart.TEMPORARY))
        await wait_all_tasks_blocked()
        assert len(supervisor._tree.attempts._retired) == 100
