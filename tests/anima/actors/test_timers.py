"""Timers of an actor: they come through its mailbox, and die with their incarnation."""

from __future__ import annotations

import functools
import gc
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import ActorSpec, MailboxSpec, NotAccepted, Reason, Stop, Timer, open_system
from tests.anima.actors.puppets import Do, Mortal, Plain, Tick, fail, idle, sleep


def set_timer(name: str, seconds: float, timers: list[Timer] | None = None) -> Do:
    async def code(actor: Plain) -> None:
        timer = getattr(actor, name)(seconds, Tick())
        if timers is not None:
            timers.append(timer)

    return Do(code)


async def test_a_timer_sends_once_or_again_and_again_without_drift(autojump_clock: MockClock) -> None:
    once: list[float] = []
    often: list[float] = []
    async with open_system() as system:
        one = await system.spawn("once", Plain, once)
        two = await system.spawn("often", Plain, often)
        await one.ask(set_timer("after", 3))
        await two.ask(set_timer("every", 2))
        await trio.sleep(0.5)
        two.tell(sleep(0.9))  # it is busy for a while
        await trio.sleep(9)
        assert once == [3]
        assert often == [2, 4, 6, 8]


async def test_times_that_were_missed_are_not_made_up_for_and_the_next_ones_stay_where_they_were(
    mock_clock: MockClock,
) -> None:
    log: list[float] = []
    async with open_system() as system:
        ref = await system.spawn("actor", Plain, log)
        await ref.ask(set_timer("every", 2))
        for seconds in (2.0, 5.0, 1.0, 2.0):  # at 2; held up until 7; 8; 10
            mock_clock.jump(seconds)
            for _ in range(3):
                await wait_all_tasks_blocked()
        assert log == [2, 7, 8, 10]


async def test_a_cancelled_timer_is_silent(autojump_clock: MockClock) -> None:
    log: list[float] = []
    timers: list[Timer] = []
    async with open_system() as system:
        ref = await system.spawn("actor", Plain, log)
        await ref.ask(set_timer("every", 2, timers))
        await ref.ask(set_timer("after", 3, timers))
        await trio.sleep(2.5)
        for timer in timers:
            timer.cancel()
            timer.cancel()
        await trio.sleep(10)
        assert log == [2]


async def test_timers_die_with_their_incarnation(autojump_clock: MockClock) -> None:
    log: list[float] = []
    async with open_system() as system:
        ref = await system.spawn("actor", Plain, log)
        await ref.ask(set_timer("every", 2))
        await ref.ask(set_timer("after", 3))
        await trio.sleep(2.5)
        ref.tell(Do(fail))
        await trio.sleep(10)
        assert log == [2]
        await ref.ask(set_timer("every", 2))
        await system.stop(ref)
        await trio.sleep(10)
        assert len(system.dead_letters) == 1  # what crashed


async def test_a_timer_that_finds_the_mailbox_full_loses_its_message(autojump_clock: MockClock) -> None:
    log: list[float] = []
    async with open_system() as system:
        spec = ActorSpec("actor", functools.partial(Plain, log), mailbox=MailboxSpec(1))
        ref = await system.spawn(spec)
        await ref.ask(set_timer("every", 2))
        await ref.ask(set_timer("after", 3))
        ref.tell(sleep(5))
        await wait_all_tasks_blocked()
        ref.tell(Do(idle))
        await trio.sleep(7)
        assert log == [6]
        [letter] = system.dead_letters  # what comes again needs none
        assert (letter.message, letter.reason) == (Tick(), Reason.DROPPED)


async def test_a_stop_on_a_timer_comes_at_its_time(autojump_clock: MockClock) -> None:
    async def stop_later(actor: Any) -> None:
        actor.after(3, Stop())

    async with open_system() as system:
        ref = await system.spawn("actor", Plain)
        await ref.ask(Do(stop_later))
        await ref.wait_ended()
        assert trio.current_time() == 3
        assert len(system.dead_letters) == 0


async def test_a_timer_refuses_what_the_actor_does_not_take_and_a_period_of_nothing() -> None:
    async def wrong(actor: Any) -> None:
        with pytest.raises(NotAccepted):
            actor.after(1, "text")
        with pytest.raises(ValueError, match="above 0"):
            actor.every(0, Tick())

    async with open_system() as system:
        ref = await system.spawn("actor", Plain)
        await ref.ask(Do(wrong))


async def test_a_stop_on_a_timer_is_refused_by_actors_that_do_not_declare_it(autojump_clock: MockClock) -> None:
    async def stop_later(actor: Any) -> None:
        with pytest.raises(NotAccepted, match="does not accept Stop"):
            actor.after(3, Stop())

    async with open_system() as system:
        ref = await system.spawn("actor", Mortal)
        await ref.ask(Do(stop_later))
        await trio.sleep(5)
        assert not ref.ended


async def test_cancelled_timers_leave_nothing_behind(autojump_clock: MockClock) -> None:
    async def set_and_cancel(actor: Plain) -> None:
        for _ in range(500):
            actor.after(1000, Tick()).cancel()

    async with open_system() as system:
        ref = await system.spawn("actor", Plain)
        await ref.ask(Do(set_and_cancel))
        gc.collect()
        assert sum(isinstance(one, Timer) for one in gc.get_objects()) < 200
