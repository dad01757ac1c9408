"""The system: opening and leaving it, addresses, mailboxes as their senders see them, and who holds up the loop."""

from __future__ import annotations

import functools
import time
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import ActorSpec, ActorStopped, BadActor, Reason, open_system
from anima_supervisors import (
    BadSpec,
    ChildAlreadyStarted,
    ChildNotFound,
    ChildSpec,
    ChildStartFailed,
    Exited,
    Inline,
    LoopBlocked,
    RestartIntensityExceeded,
    SupervisorSpec,
    open_supervisor,
)
from anima_supervisors.testing import EventLog, held
from tests.anima.actors.notes import Note, Plain, Wait
from tests.anima.actors.puppets import Do, fail, forever, idle


class Slow(Plain):
    async def started(self) -> None:
        await trio.sleep(10)


# Opening and leaving


async def test_leaving_the_block_stops_actors_in_reverse_order_within_their_bounds(autojump_clock: MockClock) -> None:
    events = EventLog()
    log: list[str] = []
    specs = [ActorSpec(id, functools.partial(Plain, log)).child() for id in ("a", "b", "c")]
    async with open_system(SupervisorSpec(children=specs), name="tree", on_event=Inline(events)) as system:
        ref = system.ref("tree/b", Plain)
        ref.tell(Wait(3))
        await wait_all_tasks_blocked()
        ref.tell(Note("left"))
    assert events.paths(Exited) == ["tree/c", "tree/b", "tree/a", "tree"]
    assert trio.current_time() == 3
    assert log == []
    assert [letter.reason for letter in system.dead_letters] == [Reason.LEFT_OVER]


async def test_an_outer_cancellation_stops_the_tree_and_passes(autojump_clock: MockClock) -> None:
    events = EventLog()
    with trio.move_on_after(1) as scope:
        async with open_system(on_event=Inline(events)) as system:
            ref = await system.spawn("plain", Plain)
            await ref.ask(Do(forever), timeout=100)
    assert scope.cancelled_caught
    assert events.paths(Exited) == ["home/plain", "home"]
    assert trio.current_time() == 1  # nobody waited for the reply any more


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    events = EventLog()
    error = ValueError("of the block")
    with pytest.raises(ValueError) as info:
        async with open_system(on_event=Inline(events)) as system:
            await system.spawn("plain", Plain)
            raise error
    assert info.value is error
    assert events.paths(Exited) == ["home/plain", "home"]


async def test_an_interrupt_in_a_handler_stops_the_tree_and_comes_out() -> None:
    async def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    events = EventLog()
    with pytest.raises(KeyboardInterrupt):
        async with open_system(on_event=Inline(events)) as system:
            await system.spawn("other", Plain)
            ref = await system.spawn("plain", Plain)
            ref.tell(Do(interrupt))
            await trio.sleep_forever()
    assert sorted(events.paths(Exited)) == ["home", "home/other", "home/plain"]


async def test_actors_that_crash_too_often_end_the_system_with_the_reason() -> None:
    with pytest.raises(RestartIntensityExceeded, match="home/plain"):
        async with open_system() as system:
            ref = await system.spawn("plain", Plain)
            for _ in range(4):
                ref.tell(Do(fail))
            await trio.sleep_forever()


async def test_an_actor_of_the_first_children_that_does_not_start_is_told() -> None:
    class Never(Plain):
        async def started(self) -> None:
            raise ValueError("never")

    with pytest.raises(ChildStartFailed, match="home/never") as info:
        async with open_system(SupervisorSpec(children=[ActorSpec("never", Never).child()])):
            pass
    assert isinstance(info.value.__cause__, ValueError)


async def test_an_actor_needs_a_system() -> None:
    with pytest.raises(ChildStartFailed) as info:
        async with open_supervisor(SupervisorSpec(children=[ActorSpec("plain", Plain).child()])):
            pass
    assert isinstance(info.value.__cause__, BadActor)


async def test_what_is_told_after_the_end_is_a_dead_letter() -> None:
    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        ref = await system.spawn("plain", Plain)
    ref.tell(Note("late"))
    assert [letter.reason for letter in system.dead_letters] == [Reason.NO_ACTOR]
    with pytest.raises(ActorStopped):
        await ref.ask(Note("late"))


# Spawning


async def test_a_path_is_for_one_actor() -> None:
    async with open_system() as system:
        ref = await system.spawn("plain", Plain)
        for kind in (Plain, Slow):
            with pytest.raises(ChildAlreadyStarted, match="home/plain"):
                await system.spawn("plain", kind)
        assert await ref.ask(Note("still there")) == "still there"


@pytest.mark.parametrize("id", ["", "a/b", "a\nb"])
async def test_an_id_that_is_no_part_of_a_path_is_refused_and_leaves_nothing(id: str) -> None:
    async with open_system() as system:
        with pytest.raises(BadSpec):
            await system.spawn(id, Plain)
        assert system.actors() == ()


async def test_only_actor_classes_make_actors() -> None:
    async with open_system() as system:
        make: Any = lambda: Plain()  # noqa: E731
        with pytest.raises(BadSpec, match="or by a functools"):
            await system.spawn("plain", make)


@pytest.mark.parametrize("kind", [Plain, Slow])
async def test_a_cancelled_spawn_leaves_nothing(autojump_clock: MockClock, kind: type[Plain]) -> None:
    async with open_system() as system:
        with held(system.supervisor) if kind is Plain else trio.CancelScope(), trio.move_on_after(1) as scope:
            await system.spawn("plain", kind)
        assert scope.cancelled_caught
        await wait_all_tasks_blocked()
        assert system.actors() == ()
        assert not await system.supervisor.which_children()
        await system.spawn("plain", kind)


# Addresses


async def test_an_address_is_there_before_the_actor_and_is_equal_by_its_path() -> None:
    async with open_system() as system, open_system() as other:
        early = system.ref("home/plain", Plain)
        assert early.ended
        assert early.statistics() is None
        assert await early.wait_ended() is None
        ref = await system.spawn("plain", Plain)
        assert early == ref
        assert hash(early) == hash(ref)
        assert not early.ended
        assert await early.ask(Note("found")) == "found"
        assert ref != await other.spawn("plain", Plain)
        assert ref != await system.spawn("another", Plain)
        assert "home/plain" in repr(ref)


async def test_waiting_for_an_end_waits_over_restarts(autojump_clock: MockClock) -> None:
    ends: list[object] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await system.spawn("plain", Plain)

        @nursery.start_soon
        async def wait() -> None:
            ends.append(await ref.wait_ended())

        with trio.move_on_after(1):
            await ref.wait_ended()
        ref.tell(Do(fail))
        await ref.ask(Do(idle))
        assert ends == []
        await system.stop(ref)
        await wait_all_tasks_blocked()
        assert len(ends) == 1


async def test_the_supervisor_of_a_path_is_found_and_of_a_wrong_path_not() -> None:
    inner = SupervisorSpec(children=[ActorSpec("plain", Plain).child()])
    async with open_system(SupervisorSpec(children=[ChildSpec("inner", inner)])) as system:
        assert system.find("home") is system.supervisor
        assert system.find("home/inner").path == "home/inner"
        assert await system.ref("home/inner/plain", Plain).ask(Note("there")) == "there"
        with pytest.raises(ChildNotFound):
            system.find("elsewhere/inner")


async def test_an_actor_that_its_supervisor_starts_again_is_there_when_that_returns() -> None:
    async with open_system(SupervisorSpec(children=[ActorSpec("plain", Plain).child()])) as system:
        ref = system.ref("home/plain", Plain)
        for n in range(10):
            await system.stop(ref)
            assert ref.ended
            await system.supervisor.restart_child("plain")
            assert await ref.ask(Note(f"{n}")) == f"{n}"


# Who holds up the loop


async def test_the_watchdog_names_the_actor_that_holds_up_the_loop() -> None:
    async def block(_: object) -> None:
        time.sleep(0.2)  # noqa: ASYNC251 -- what is tested: nothing else can run meanwhile

    blocked = trio.Event()
    events: list[LoopBlocked] = []

    def hook(event: object) -> None:
        if isinstance(event, LoopBlocked):
            events.append(event)
            blocked.set()

    async with open_system(on_event=Inline(hook), watchdog=0.05) as system:
        ref = await system.spawn("plain", Plain)
        ref.tell(Do(block))
        with trio.fail_after(10):
            await blocked.wait()
    assert events[0].path == "home/plain"
    assert "in block" in events[0].where
