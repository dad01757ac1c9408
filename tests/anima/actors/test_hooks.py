"""The hooks of an actor: `started`, `stopping`, `crashed`, and its `__init__`."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import Actor, Stop, open_system, receive
from anima_supervisors import ChildStartFailed, Error, Exit, Exited, Inline
from anima_supervisors.testing import EventLog
from tests.anima.actors.puppets import Do, Plain, fail, forever, idle


class Hooked(Actor[Do | Stop]):
    """Notes its hooks, and does in them what it is told."""

    def __init__(self, log: list[Any], **in_hooks: Callable[[Any], Awaitable[object]]) -> None:
        self.log = log
        self.in_hooks = in_hooks

    async def _hook(self, name: str, what: object) -> None:
        self.log.append((name, what))
        if name in self.in_hooks:
            await self.in_hooks[name](self)

    async def started(self) -> None:
        await self._hook("started", self.ref.path)

    async def stopping(self, reason: Exit) -> None:
        await self._hook("stopping", reason)

    async def crashed(self, message: object, error: Exception) -> None:
        await self._hook("crashed", (message, error))

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)


async def test_spawn_waits_for_the_hook_started_and_the_mailbox_waits_meanwhile(autojump_clock: MockClock) -> None:
    log: list[Any] = []

    async def slowly(_: Hooked) -> None:
        await trio.sleep(2)

    async def note(_: Hooked) -> None:
        log.append("handled")

    async with open_system() as system, trio.open_nursery() as nursery:
        nursery.start_soon(functools.partial(system.spawn, "actor", Hooked, log, started=slowly))
        await wait_all_tasks_blocked()
        await system.ref("home/actor").ask(Do(note))
        assert trio.current_time() == 2
        assert log == [("started", "home/actor"), "handled"]


async def test_a_hook_that_fails_is_a_failed_start_and_nothing_stays_behind() -> None:
    async with open_system() as system:
        ref = system.ref("home/actor")
        with pytest.raises(ChildStartFailed, match="home/actor") as info:
            await system.spawn("actor", Hooked, [], started=fail)
        assert isinstance(info.value.__cause__, ValueError)
        assert ref.ended
        assert system.actors() == ()
        assert await system.supervisor.count_children() is not None
        assert (await system.spawn("actor", Hooked, [])) == ref


class Unborn(Plain):
    def __init__(self, log: list[Any] | None = None) -> None:
        raise ValueError("never")


class UnbornHooked(Hooked):
    def __init__(self, log: list[Any]) -> None:
        raise ValueError("never")


@pytest.mark.parametrize("kind", [Unborn, UnbornHooked])
async def test_an_init_that_fails_is_a_failed_start_and_nothing_stays_behind(kind: Any) -> None:
    async with open_system() as system:
        with pytest.raises(ChildStartFailed, match="home/actor") as info:
            await system.spawn("actor", kind, [])
        assert isinstance(info.value.__cause__, ValueError)
        assert system.ref("home/actor").ended
        assert not (await system.supervisor.which_children())
        await system.spawn("actor", Plain)


async def test_inside_init_there_is_no_system_yet() -> None:
    class Curious(Plain):
        def __init__(self) -> None:
            super().__init__()
            with pytest.raises(RuntimeError, match="use `started`"):
                _ = self.ref

    async with open_system() as system:
        await system.spawn("actor", Curious)


async def test_the_hook_stopping_is_told_why_and_not_called_at_a_crash() -> None:
    log: list[Any] = []
    async with open_system() as system:
        ref = await system.spawn("actor", Hooked, log)
        ref.tell(Do(fail))
        await ref.ask(Do(idle))
        assert [name for name, _ in log] == ["started", "crashed", "started"]
        ref.tell(Stop())
        await ref.wait_ended()
        assert [name for name, _ in log[3:]] == ["stopping"]
        assert log[3][1].final
        log.clear()
        ref = await system.spawn("actor", Hooked, log)
        await system.stop(ref)
        assert [name for name, _ in log] == ["started", "stopping"]
        assert log[1][1].clean
        assert not getattr(log[1][1], "final", False)


async def test_the_hook_stopping_is_cancelled_when_its_time_is_up(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        ref = await system.spawn("actor", Hooked, [], stopping=forever)
        await system.stop(ref)
        assert trio.current_time() == 5


@pytest.mark.parametrize("told", ["by Stop", "by itself"])
async def test_an_actor_that_is_to_end_for_good_does_so_even_if_its_hook_stopping_fails(told: str) -> None:
    async def stop(actor: Hooked) -> None:
        actor.stop()

    async with open_system() as system:
        ref = await system.spawn("actor", Hooked, [], stopping=fail)
        ref.tell(Stop() if told == "by Stop" else Do(stop))
        await wait_all_tasks_blocked()
        assert ref.ended


async def test_the_hook_crashed_sees_the_message_and_the_error_before_the_restart() -> None:
    log: list[Any] = []
    async with open_system() as system:
        ref = await system.spawn("actor", Hooked, log)
        ref.tell(Do(fail))
        await ref.ask(Do(idle))
        [_, (_, (seen, error)), (last, _)] = log
        assert seen == Do(fail)
        assert isinstance(error, ValueError)
        assert last == "started"


async def test_the_hook_crashed_has_five_seconds_and_what_it_raises_is_a_note(autojump_clock: MockClock) -> None:
    log: list[Any] = []
    async with open_system() as system:
        ref = await system.spawn("actor", Hooked, log, crashed=forever)
        ref.tell(Do(fail))
        await ref.ask(Do(idle), timeout=100)
        assert trio.current_time() == 5
    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        ref = await system.spawn("actor", Hooked, log, crashed=fail)
        ref.tell(Do(fail))
        await ref.ask(Do(idle))
        [exited] = events.of(Exited)
        assert isinstance(exited.exit, Error)
        [note] = exited.exit.exception.__notes__
        assert "home/actor" in note
        assert "broken" in note
