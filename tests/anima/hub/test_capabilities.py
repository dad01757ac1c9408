"""Discovery: who can do what, who is asked, and who came and went."""

from __future__ import annotations

import functools
from collections import Counter
from random import Random

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorRef,
    ActorSpec,
    AskFailed,
    NotAccepted,
    Request,
    Stop,
    System,
    message,
    open_system,
    receive,
)
from anima.hub import Came, Capability, Hub, NoProvider, Went
from anima.hub._offers import DrawableSet
from anima_supervisors import BadSpec


@message(idempotent=True)
class Translate(Request[str]):
    text: str


@message
class Print(Request[str]):
    text: str


@message
class Cook(Request[str]):
    """What no translator accepts."""


@message
class Sleep(Request[None]):
    """Keeps the translator busy until it is cancelled."""


class Translator(Actor[Translate | Print | Sleep | Stop]):
    def __init__(self, broken: bool = False) -> None:
        self._broken = broken

    @receive
    async def translate(self, request: Translate | Print) -> str:
        if self._broken:
            raise ValueError("broken")
        return f"{request.text} by {self.ref.path}"

    @receive
    async def sleep(self, request: Sleep) -> None:
        await trio.sleep_forever()


async def translator(
    system: System, id: str, *, broken: bool = False, version: str | None = None, **attributes: str
) -> ActorRef[Translate | Print | Sleep | Stop]:
    capability = Capability("translate", version, attributes, accepts=Translate)
    return await system.spawn(ActorSpec(id, functools.partial(Translator, broken), declares=[capability]))


async def test_actors_are_found_by_what_they_can_do_the_oldest_first() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        german = await translator(system, "german", version="1", to="de")
        french = await translator(system, "french", version="2", to="fr")
        assert hub.find("translate") == (german, french)
        assert hub.find("translate", version="2") == (french,)
        assert hub.find("translate", where={"to": "de"}) == (german,)
        assert hub.find("translate", version="2", where={"to": "de"}) == ()
        assert hub.find("translate", where=lambda capability: capability.attributes["to"] > "e") == (french,)
        assert hub.find("cook") == ()


async def test_what_an_actor_can_do_vanishes_before_its_restart_and_is_known_again_when_it_is_up() -> None:
    seen: list[int] = []

    class Watched(Translator):
        declares = (Capability("watched"),)

        async def started(self) -> None:
            seen.append(len(Hub.of(self.system).find("watched")))

    async with open_system() as system:
        hub = Hub.of(system)
        ref = await system.spawn("a", Watched, broken=True)
        assert hub.find("watched") == (ref,)
        with pytest.raises(AskFailed):
            await ref.ask(Translate("x"))
        await wait_all_tasks_blocked()
        assert seen == [0, 0]
        assert hub.find("watched") == (ref,)
        await system.stop(ref)
        assert hub.find("watched") == ()


async def test_an_offer_can_be_made_and_withdrawn_by_hand() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        ref = await system.spawn("a", Translator)
        offer = hub.offer(ref, Capability("nap"))
        assert hub.find("nap") == (ref,)
        offer.withdraw()
        offer.withdraw()
        assert hub.find("nap") == ()


async def test_the_least_loaded_is_asked(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        busy = await translator(system, "busy")
        await translator(system, "idle")
        busy.tell(Sleep())
        await wait_all_tasks_blocked()
        assert await hub.ask_any("translate", Translate("x")) == "x by home/idle"


async def test_another_one_is_asked_when_the_first_dies_of_an_idempotent_request() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        await translator(system, "broken", broken=True)
        await translator(system, "whole")
        assert await hub.ask_any("translate", Translate("x")) == "x by home/whole"


async def test_a_request_that_is_not_idempotent_is_not_tried_twice() -> None:
    async with open_system() as system:
        for id in ("a", "b"):
            await translator(system, id, broken=True)
        with pytest.raises(AskFailed):
            await Hub.of(system).ask_any("translate", Print("x"))
        assert len(system.dead_letters) == 1


async def test_when_all_have_died_of_it_the_asker_gets_the_last_cause() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        for id in ("a", "b"):
            await translator(system, id, broken=True)
        with pytest.raises(
            NoProvider, match="nobody can be asked to 'translate': 2 that were asked have failed"
        ) as info:
            await hub.ask_any("translate", Translate("x"))
        assert isinstance(info.value.__cause__, AskFailed)


async def test_when_nobody_can_be_asked_the_error_says_why() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        with pytest.raises(NoProvider, match="nobody offers it"):
            await hub.ask_any("translate", Translate("x"))
        await translator(system, "a", to="de")
        with pytest.raises(NoProvider, match="1 offer it, and none of them as it was asked for"):
            await hub.ask_any("translate", Translate("x"), where={"to": "fr"})
        with pytest.raises(NoProvider, match="1 offer it, and none of them accepts Cook: home/a does not"):
            await hub.ask_any("translate", Cook())


async def test_those_with_equal_loads_take_turns_by_chance() -> None:
    async with open_system(random=Random(1)) as system:
        hub = Hub.of(system)
        for id in "abc":
            await translator(system, id)
        asked = Counter([await hub.ask_any("translate", Translate("x")) for _ in range(60)])
        assert len(asked) == 3
        assert min(asked.values()) > 10


async def test_who_watches_a_capability_is_told_who_is_there_who_comes_and_who_goes() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        first = await translator(system, "first")
        async with system.open_inbox(Came, Went) as inbox:
            hub.watch_capability("translate", inbox.ref)
            second = await translator(system, "second")
            first.tell(Stop())
            await first.wait_ended()
            changes = [inbox.receive_nowait() for _ in range(3)]
            assert [(type(change), change.ref) for change in changes] == [(Came, first), (Came, second), (Went, first)]
            hub.unwatch_capability("translate", inbox.ref)
            await system.stop(second)
            with pytest.raises(trio.WouldBlock):
                inbox.receive_nowait()


async def test_who_watches_has_to_accept_the_news() -> None:
    async with open_system() as system:
        ref = await system.spawn("a", Translator)
        with pytest.raises(NotAccepted, match="does not accept Came"):
            Hub.of(system).watch_capability("translate", ref)


def test_what_cannot_be_found_by_is_refused() -> None:
    with pytest.raises(BadSpec, match="the attribute 'to' must be hashable"):
        Capability("translate", attributes={"to": []})  # type: ignore[dict-item]
    with pytest.raises(BadSpec, match="the name of a capability"):
        Capability("")


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9))))
def test_a_drawable_set_is_a_set(steps: list[tuple[bool, int]]) -> None:
    drawable, model = DrawableSet[int](), set[int]()
    for add, value in steps:
        if add:
            drawable.add(value)
            model.add(value)
        elif value in model:
            drawable.remove(value)
            model.remove(value)
        assert set(drawable) == model
        assert len(drawable) == len(model)
