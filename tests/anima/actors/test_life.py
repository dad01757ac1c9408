"""The life of an actor: its hooks, its end, its children, another behaviour."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorRef,
    ActorSpec,
    ActorStopped,
    AskFailed,
    BadActor,
    NotAccepted,
    Request,
    Stop,
    message,
    open_system,
    receive,
)
from anima_supervisors import (
    ChildSpec,
    ChildStartFailed,
    DynamicSupervisorSpec,
    Error,
    Exit,
    Exited,
    Inline,
    Never,
    RestartIntensityExceeded,
    Shutdown,
)
from anima_supervisors.testing import EventLog


@message
class Do(Request[Any]):
    """Runs inside of the handler, with the actor."""

    code: Callable[[Any], Awaitable[Any]]


@message
class Tick:
    pass


class Plain(Actor[Do | Tick | Stop]):
    """Has no hooks, and is made in the task that spawns it."""

    def __init__(self, log: list[Any] | None = None) -> None:
        self.log = [] if log is None else log

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)

    @receive
    async def tick(self, message: Tick) -> None:
        self.log.append(trio.current_time())


class Mortal(Actor[Do]):
    """Does not declare `Stop`."""

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)


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


async def fail(_: object) -> None:
    raise ValueError("broken")


async def idle(_: object) -> None:
    pass


async def forever(_: object) -> None:
    await trio.sleep_forever()


def sleep(seconds: float) -> Do:
    async def code(_: object) -> None:
        await trio.sleep(seconds)

    return Do(code)


# Hooks


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


# Its end


async def test_an_actor_that_declares_stop_ends_for_good_after_what_it_handles(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        ref = await system.spawn("actor", Plain)
        ref.tell(sleep(3))
        await wait_all_tasks_blocked()
        ref.tell(Tick())
        ref.tell(Stop())
        exit = await ref.wait_ended()
        assert isinstance(exit, Shutdown)
        assert exit.final
        assert trio.current_time() == 3
        assert [letter.message for letter in system.dead_letters] == [Tick()]
        await ref.wait_ended()


async def test_a_stop_that_is_put_ends_the_actor_too_and_is_no_dead_letter() -> None:
    async with open_system() as system:
        ref = await system.spawn("actor", Plain)
        await ref.put(Stop())
        await ref.wait_ended()
        assert len(system.dead_letters) == 0


async def test_stop_is_refused_by_actors_that_do_not_declare_it() -> None:
    async with open_system() as system:
        ref: ActorRef[Any] = await system.spawn("actor", Mortal)
        with pytest.raises(NotAccepted, match="does not accept Stop"):
            ref.tell(Stop())
        assert not ref.ended


async def test_an_actor_can_end_itself_when_it_has_handled_its_message() -> None:
    async def stop(actor: Mortal) -> str:
        actor.stop("had enough")
        return "goodbye"

    exits: list[Exit | None] = []
    async with open_system() as system, trio.open_nursery() as nursery:
        ref = await system.spawn("actor", Mortal)

        @nursery.start_soon
        async def wait() -> None:
            exits.append(await ref.wait_ended())

        await wait_all_tasks_blocked()
        assert await ref.ask(Do(stop)) == "goodbye"
    assert exits == [Shutdown("had enough", final=True)]


async def test_the_system_stops_an_actor_and_waits_until_it_is_gone(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        ref = await system.spawn(ActorSpec("actor", Plain, shutdown=Never()))
        ref.tell(sleep(30))
        await wait_all_tasks_blocked()
        await system.stop(ref)
        assert trio.current_time() == 30
        assert ref.ended
        with pytest.raises(ActorStopped, match="home/actor"):
            await system.stop(ref)


# Its children


async def test_children_have_a_path_below_and_end_with_the_incarnation() -> None:
    async def spawn(actor: Plain) -> Any:
        return [await actor.spawn(id, Plain) for id in ("one", "two")]

    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        parent = await system.spawn("parent", Plain)
        one, two = await parent.ask(Do(spawn))
        assert [one.path, two.path] == ["home/parent/one", "home/parent/two"]
        with pytest.raises(AskFailed):
            await parent.ask(Do(fail))
        await parent.ask(Do(idle))
        assert one.ended
        assert two.ended
        assert events.paths(Exited)[-1] == "home/parent"
        assert sorted(events.paths(Exited)) == ["home/parent", "home/parent/one", "home/parent/two"]
        again = await parent.ask(Do(spawn))
        assert again == [one, two]
        await one.ask(Do(idle))  # the old address reaches the new child
        await system.stop(parent)
        assert one.ended


async def test_a_child_that_crashes_is_restarted_alone_and_too_often_ends_its_parent() -> None:
    class Strict(Plain):
        children = DynamicSupervisorSpec(intensity=1)

    async def spawn(actor: Plain) -> Any:
        return await actor.spawn("child", Plain)

    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        parent = await system.spawn("parent", Strict)
        child = await parent.ask(Do(spawn))
        child.tell(Do(fail))
        await child.ask(Do(idle))
        assert events.paths(Exited) == ["home/parent/child"]
        child.tell(Do(fail))
        await wait_all_tasks_blocked()
        assert child.ended
        [exited] = [event for event in events.of(Exited) if event.path == "home/parent"]
        assert isinstance(exited.exit, Error)
        assert isinstance(exited.exit.exception, RestartIntensityExceeded)
        await parent.ask(Do(idle))  # it is up again


async def test_a_child_that_does_not_start_is_its_parents_to_deal_with() -> None:
    async def spawn(actor: Plain) -> Any:
        with pytest.raises(ChildStartFailed, match="home/parent/child"):
            await actor.spawn("child", Unborn)
        return await actor.spawn("child", Plain)

    async with open_system() as system:
        parent = await system.spawn("parent", Plain)
        assert (await parent.ask(Do(spawn))).path == "home/parent/child"


async def test_any_child_can_live_below_an_actor() -> None:
    async def task() -> None:
        await trio.sleep_forever()

    async def start(actor: Hooked) -> None:
        await actor.start_child(ChildSpec("task", task))

    events = EventLog()
    async with open_system(on_event=Inline(events)) as system:
        ref = await system.spawn("parent", Hooked, [], started=start)
        await system.stop(ref)
        assert events.paths(Exited) == ["home/parent/task", "home/parent"]


# Another behaviour


@message
class Turn(Request[str]):
    pass


@message
class TurnHard(Turn):
    pass


class Lamp(Actor[Turn | Do]):
    @receive
    async def turn(self, message: Turn) -> str:
        self.become(Lit)
        return "on"

    @receive
    async def do(self, message: Do) -> Any:
        return await message.code(self)


class Lit(Lamp):
    @receive
    async def turn(self, message: Turn) -> str:
        self.become(Lamp)
        return "off"


async def test_an_actor_that_becomes_something_else_handles_the_next_message_by_it() -> None:
    async with open_system() as system:
        lamp = await system.spawn("lamp", Lamp)
        assert [await lamp.ask(kind()) for kind in (Turn, TurnHard, TurnHard, Turn)] == ["on", "off", "on", "off"]


async def test_a_restart_begins_with_the_original_behaviour() -> None:
    async with open_system() as system:
        lamp = await system.spawn("lamp", Lamp)
        assert await lamp.ask(Turn()) == "on"
        lamp.tell(Do(fail))
        assert await lamp.ask(Turn()) == "on"


async def test_a_behaviour_is_a_subclass_of_the_actors_class() -> None:
    async def wrong(actor: Lamp) -> None:
        with pytest.raises(BadActor, match="Plain is no subclass of Lamp"):
            actor.become(Plain)

    async with open_system() as system:
        lamp = await system.spawn("lamp", Lamp)
        await lamp.ask(Do(wrong))


async def test_two_children_can_be_spawned_at_once_by_one_handler() -> None:
    async def both(actor: Plain) -> list[str]:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(actor.spawn, "a", Plain)
            nursery.start_soon(actor.spawn, "b", Plain)
        return sorted(ref.path for ref in actor.system.actors())

    async with open_system() as system:
        parent = await system.spawn("parent", Plain)
        assert await parent.ask(Do(both)) == ["home/parent", "home/parent/a", "home/parent/b"]
