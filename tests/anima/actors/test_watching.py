"""Watching other actors: told when they end for good, and only then."""

from __future__ import annotations

import functools
import gc
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import Actor, ActorRef, ActorSpec, BadActor, MailboxSpec, Stop, Terminated, open_system, receive
from anima_supervisors import Shutdown
from tests.anima.actors.puppets import Do, Plain, Watcher, fail, idle


def watch(*others: ActorRef[Any]) -> Do:
    async def code(actor: Watcher) -> None:
        for other in others:
            actor.watch(other)

    return Do(code)


async def test_who_watches_is_told_of_the_end_and_not_of_restarts(autojump_clock: MockClock) -> None:
    log: list[Terminated] = []
    async with open_system() as system:
        watcher = await system.spawn("watcher", Watcher, log)
        other = await system.spawn("other", Plain)
        await watcher.ask(watch(other, other))
        other.tell(Do(fail))
        await other.ask(Do(idle))
        await wait_all_tasks_blocked()
        assert log == []
        other.tell(Stop())
        await wait_all_tasks_blocked()
        assert [told.ref for told in log] == [other]
        assert isinstance(log[0].reason, Shutdown)
        await system.spawn("other", Plain)
        await system.stop(other)
        assert len(log) == 1


async def test_who_watches_what_is_gone_already_is_told_at_once() -> None:
    log: list[Terminated] = []
    async with open_system() as system:
        watcher = await system.spawn("watcher", Watcher, log)
        await watcher.ask(watch(system.ref("home/nobody")))
        await wait_all_tasks_blocked()
        assert [told.ref.path for told in log] == ["home/nobody"]


async def test_unwatch_ends_a_watch() -> None:
    log: list[Terminated] = []
    async with open_system() as system:
        watcher = await system.spawn("watcher", Watcher, log)
        other = await system.spawn("other", Plain)

        async def unwatch(actor: Watcher) -> None:
            actor.unwatch(other)

        await watcher.ask(watch(other))
        await watcher.ask(Do(unwatch))
        await system.stop(other)
        await wait_all_tasks_blocked()
        assert log == []


async def test_a_watch_ends_with_the_incarnation_that_watches() -> None:
    log: list[Terminated] = []
    async with open_system() as system:
        watcher = await system.spawn("watcher", Watcher, log)
        other = await system.spawn("other", Plain)
        await watcher.ask(watch(other))
        watcher.tell(Do(fail))
        await watcher.ask(Do(idle))
        await system.stop(other)
        await wait_all_tasks_blocked()
        assert log == []


async def test_what_was_told_to_an_incarnation_that_watched_is_not_told_to_the_next_one() -> None:
    log: list[Terminated] = []
    async with open_system() as system:
        watcher = await system.spawn("watcher", Watcher, log)
        other = await system.spawn("other", Plain)

        async def stop_and_fail(_: object) -> None:
            await system.stop(other)
            raise ValueError("with a Terminated in the mailbox")

        await watcher.ask(watch(other))
        watcher.tell(Do(stop_and_fail))
        await watcher.ask(Do(idle))
        assert log == []


async def test_a_full_mailbox_does_not_delay_what_is_told_of_an_end() -> None:
    log: list[Terminated] = []
    done: list[str] = []
    go = trio.Event()
    async with open_system() as system:
        spec = ActorSpec("watcher", functools.partial(Watcher, log), mailbox=MailboxSpec(1))
        watcher = await system.spawn(spec)
        other = await system.spawn("other", Plain)

        async def wait(_: object) -> None:
            await go.wait()

        async def note(_: object) -> None:
            done.append(f"{len(log)} told")

        await watcher.ask(watch(other))
        watcher.tell(Do(wait))
        await wait_all_tasks_blocked()
        watcher.tell(Do(note))
        await system.stop(other)
        go.set()
        await wait_all_tasks_blocked()
        assert done == ["1 told"]


async def test_watching_needs_a_handler_for_what_is_told() -> None:
    async with open_system() as system:
        ref = await system.spawn("actor", Plain)

        async def watches(actor: Plain) -> None:
            with pytest.raises(BadActor, match="no handler for Terminated"):
                actor.watch(ref)

        await ref.ask(Do(watches))


async def test_watches_that_are_over_leave_nothing_behind() -> None:
    async with open_system() as system:
        watcher = await system.spawn("watcher", Watcher, [])
        other = await system.spawn("other", Plain)

        async def watch_and_unwatch(actor: Watcher) -> None:
            for _ in range(500):
                actor.watch(other)
                actor.unwatch(other)

        await watcher.ask(Do(watch_and_unwatch))
        gc.collect()
        kept = [one for one in gc.get_objects() if isinstance(one, functools.partial) and one.func == system.unwatch]
        assert len(kept) < 50


async def test_news_whose_handler_crashes_are_not_for_the_next_incarnation() -> None:
    seen: list[Terminated] = []

    class Fragile(Actor[Do | Terminated]):
        attempts = 3

        @receive
        async def do(self, message: Do) -> Any:
            return await message.code(self)

        @receive
        async def ended(self, message: Terminated) -> None:
            seen.append(message)
            raise ValueError("cannot bear it")

    async with open_system() as system:
        other = await system.spawn("other", Plain)
        fragile = await system.spawn("fragile", Fragile)
        await fragile.ask(watch(other))
        await system.stop(other)
        await wait_all_tasks_blocked()
        assert len(seen) == 1
