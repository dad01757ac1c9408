"""Calls of the hub that wait for nothing let others run all the same, and can be cancelled."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import pytest
import trio

from anima.actors import Actor, MailboxSpec, Overflow, Request, message, open_system, receive
from anima.hub import BadTopic, Hub, NoProvider


@message
class Story(Request[None]):
    """There is always room for the next one."""


class Reader(Actor[Story]):
    mailbox = MailboxSpec(1, Overflow.DROP_OLDEST)

    @receive
    async def read(self, story: Story) -> None:
        pass


CALLS: dict[str, Callable[[Hub], Awaitable[object]]] = {
    "publish to nobody": lambda hub: hub.publish("nobody", Story()),
    "publish to those who have room": lambda hub: hub.publish("news", Story()),
    "publish to no topic": lambda hub: hub.publish("no topic.", Story()),
    "ask nobody": lambda hub: hub.ask_any("nobody", Story()),
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_loop_of_calls_that_wait_for_nothing_lets_others_run_and_can_be_cancelled(call: str) -> None:
    turns = 0

    async def cancel_after_some_turns(scope: trio.CancelScope) -> None:
        nonlocal turns
        for turns in range(10):  # noqa: B007
            await trio.lowlevel.checkpoint()
        scope.cancel()

    async with open_system() as system:
        hub = Hub.of(system)
        for id in "ab":
            hub.subscribe(await system.spawn(id, Reader), "news")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(cancel_after_some_turns, nursery.cancel_scope)
            for _ in range(1000):
                with contextlib.suppress(BadTopic, NoProvider):
                    await CALLS[call](hub)
        assert nursery.cancel_scope.cancelled_caught
        assert turns == 9


async def test_who_is_cancelled_before_it_publishes_has_published_nothing() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        with trio.CancelScope() as scope:
            scope.cancel()
            await hub.publish("news", Story(), retain=True)
        assert scope.cancelled_caught
        assert hub.retained("news") is None
