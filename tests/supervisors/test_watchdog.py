"""The watchdog: it names the task and the line that hold up the loop, once for each time.

The blocks here are real, and end when the watchdog has told of them: nothing waits for a time to pass.
"""

from __future__ import annotations

import threading

import pytest
import trio

from anima_supervisors import ChildSpec, Event, Inline, LoopBlocked, Restart, SupervisorSpec, open_supervisor

LIMIT = 0.05


class Ears:
    """A hook that lets go of who blocks as soon as that was told."""

    def __init__(self) -> None:
        self.heard: list[LoopBlocked] = []
        self.told = threading.Event()

    def __call__(self, event: Event) -> None:
        if isinstance(event, LoopBlocked):
            self.heard.append(event)
            self.told.set()


async def test_a_task_that_holds_up_the_loop_is_told_with_its_path_and_line_while_it_does() -> None:
    ears = Ears()

    async def blocks() -> None:
        assert ears.told.wait(30)

    async def start() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(blocks)  # a task of the child's own counts as the child

    async with open_supervisor(SupervisorSpec(), on_event=ears, watchdog=LIMIT) as supervisor:
        await supervisor.run_task(start, name="busy")
    (event,) = ears.heard
    assert event.path == "root/busy-1"
    assert event.task.endswith("blocks")
    assert "test_watchdog.py" in event.where
    assert event.where.endswith("in blocks")
    assert event.seconds >= LIMIT


async def test_each_block_is_told_once_and_the_next_one_again() -> None:
    ears = Ears()

    async def blocks() -> None:
        assert ears.told.wait(30)
        ears.told.clear()
        # A while longer than the limit, and still the same block.
        ears.told.wait(3 * LIMIT)

    async with open_supervisor(SupervisorSpec(), on_event=ears, watchdog=LIMIT) as supervisor:
        await supervisor.run_task(blocks)
        assert len(ears.heard) == 1
        ears.told.clear()
        await supervisor.run_task(blocks)
    assert len(ears.heard) == 2


async def test_an_inline_hook_hears_of_it_when_the_loop_turns_again() -> None:
    heard = trio.Event()
    told = threading.Event()

    def hook(event: Event) -> None:
        if isinstance(event, LoopBlocked):
            heard.set()

    async def blocks() -> None:
        told.wait(5 * LIMIT)

    spec = SupervisorSpec(children=[ChildSpec("a", blocks, Restart.TEMPORARY)])
    async with open_supervisor(spec, on_event=Inline(hook), watchdog=LIMIT):
        with trio.fail_after(30):
            await heard.wait()


async def test_a_tree_that_only_waits_is_not_told_of() -> None:
    ears = Ears()
    async with open_supervisor(SupervisorSpec(), on_event=ears, watchdog=LIMIT):
        await trio.sleep(4 * LIMIT)  # idle, in real time: the only way to be so
    assert ears.heard == []


@pytest.mark.parametrize("limit", [0, -1, float("inf"), float("nan")])
async def test_a_watchdog_needs_a_limit(limit: float) -> None:
    with pytest.raises(ValueError, match="watchdog"):
        async with open_supervisor(SupervisorSpec(), watchdog=limit):
            pass
