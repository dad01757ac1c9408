"""Every async call is a checkpoint, also one that waits for nothing: in a loop it lets others run, and can end."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from anima.actors import ActorError, ActorRef, ActorSpec, AskFailed, MailboxSpec, Overflow, Stop, System, open_system
from anima_supervisors import Kill, SupervisorError, SupervisorStopped
from tests.anima.actors.puppets import Do, Plain, Unborn, forever


class Full(Plain):
    mailbox = MailboxSpec(1, Overflow.DROP_NEWEST)


async def spawn_full(system: System) -> ActorRef[Any]:
    """An actor that handles a message for ever, and has no room for another one."""
    full = await system.spawn(ActorSpec("full", Full, shutdown=Kill()))
    full.tell(Do(forever))
    await trio.testing.wait_all_tasks_blocked()
    full.tell(Do(forever))
    return full


Call = Callable[[System, ActorRef[Any], ActorRef[Any]], Awaitable[object]]

#: calls that nothing is waited for, of a system, an address where nobody lives, and one of an actor that is stuck
CALLS: dict[str, Call] = {
    "ask nobody": lambda system, nobody, full: nobody.ask(Do(forever)),
    "ask for nothing": lambda system, nobody, full: full.ask("no request"),  # type: ignore[arg-type]
    "an ask that is dropped": lambda system, nobody, full: full.ask(Do(forever)),
    "put to nobody": lambda system, nobody, full: nobody.put(Do(forever)),
    "put what is not accepted": lambda system, nobody, full: full.put("no message"),
    "put a stop": lambda system, nobody, full: full.put(Stop()),
    "wait for the end of nobody": lambda system, nobody, full: nobody.wait_ended(),
    "stop nobody": lambda system, nobody, full: system.stop(nobody),
    "resize no pool": lambda system, nobody, full: system.resize(full, 2),
    "spawn what cannot be made": lambda system, nobody, full: system.spawn("new", Unborn),
    "spawn what is there": lambda system, nobody, full: system.spawn("full", Full),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_loop_of_calls_that_wait_for_nothing_lets_others_run_and_can_be_cancelled(call: str) -> None:
    async with open_system() as system:
        full = await spawn_full(system)
        await lets_others_run(functools.partial(CALLS[call], system, system.ref("home/nobody"), full))


async def lets_others_run(call: Callable[[], Awaitable[object]]) -> None:
    turns = 0

    async def cancel_after_some_turns(scope: trio.CancelScope) -> None:
        nonlocal turns
        for turns in range(10):  # noqa: B007
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(cancel_after_some_turns, nursery.cancel_scope)
        for _ in range(1000):
            with contextlib.suppress(ActorError, SupervisorError):
                await call()
    assert nursery.cancel_scope.cancelled_caught
    assert turns == 9


async def test_an_ask_that_is_cancelled_before_it_begins_is_not_handled() -> None:
    handled: list[object] = []

    async def note(actor: object) -> None:
        handled.append(actor)

    async with open_system() as system:
        actor = await system.spawn("actor", Plain)
        with trio.CancelScope() as scope:
            scope.cancel()
            await actor.ask(Do(note))
        await trio.testing.wait_all_tasks_blocked()
        assert scope.cancelled_caught
        assert handled == []


async def test_an_ask_that_is_dropped_is_a_checkpoint() -> None:
    async with open_system() as system:
        full = await spawn_full(system)
        with trio.testing.assert_checkpoints():
            with pytest.raises(AskFailed, match="dropped"):
                await full.ask(Do(forever))


async def test_calls_of_a_supervisor_that_has_ended_let_others_run() -> None:
    async with open_system() as system:
        supervisor = system.supervisor
    await lets_others_run(supervisor.which_children)
    with pytest.raises(SupervisorStopped):
        await supervisor.which_children()
