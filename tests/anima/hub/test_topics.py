"""Publish and subscribe: who hears what, what a crash loses, and who slows whom."""

from __future__ import annotations

import functools

import pytest
from trio.testing import wait_all_tasks_blocked

from anima.actors import (
    Actor,
    ActorSpec,
    ActorStopped,
    NotAccepted,
    Reason,
    TooManyHops,
    message,
    open_system,
    receive,
)
from anima.hub import AlreadySubscribed, BadTopic, Hub, Listens
from anima_supervisors import BadSpec


@message
class Story:
    text: str


@message
class Breaking(Story):
    """A story that cannot wait."""


@message
class Weather:
    degrees: int


class Reader(Actor[Story]):
    """Notes what it reads, and crashes on what it is told to."""

    def __init__(self, heard: list[str], crash_on: str = "") -> None:
        self._heard = heard
        self._crash_on = crash_on

    @receive
    async def read(self, story: Story) -> None:
        if story.text == self._crash_on:
            raise ValueError(story.text)
        self._heard.append(story.text)


async def test_who_listens_to_a_topic_hears_what_is_published_and_the_publisher_knows_how_many() -> None:
    heard: list[str] = []
    async with open_system() as system:
        hub = Hub.of(system)
        hub.subscribe(await system.spawn("a", Reader, heard), "news.sport")
        hub.subscribe(await system.spawn("b", Reader, heard), "news.*")
        assert await hub.publish("news.sport", Story("goal")) == 2
        assert await hub.publish("news.weather", Story("rain")) == 1
        assert await hub.publish("other", Story("nothing")) == 0
        await wait_all_tasks_blocked()
    assert heard == ["goal", "goal", "rain"]


async def test_a_subscription_is_typed_by_what_the_actor_accepts_and_by_the_classes_asked_for() -> None:
    heard: list[str] = []
    async with open_system() as system:
        hub = Hub.of(system)
        hub.subscribe(await system.spawn("all", Reader, heard), "news")
        hub.subscribe(await system.spawn("some", Reader, heard), "news", Breaking)
        assert await hub.publish("news", Weather(20)) == 0
        assert await hub.publish("news", Story("old")) == 1
        assert await hub.publish("news", Breaking("new")) == 2


async def test_subscribing_to_what_the_actor_does_not_accept_is_refused() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        reader = await system.spawn("reader", Reader, [])
        with pytest.raises(NotAccepted, match="home/reader does not accept Weather; it takes Story"):
            hub.subscribe(reader, "news", Weather)  # type: ignore[misc]
        with pytest.raises(BadSpec, match="Reader listens to Weather and does not accept it"):
            ActorSpec("reader", functools.partial(Reader, []), declares=[Listens("news", (Weather,))])


async def test_a_declared_subscription_hears_also_what_is_published_while_its_actor_is_restarted() -> None:
    heard: list[str] = []
    async with open_system() as system:
        hub = Hub.of(system)
        make = functools.partial(Reader, heard, crash_on="bad")
        await system.spawn(ActorSpec("reader", make, declares=[Listens("news.**")]))
        for text in ("one", "bad", "two", "three"):
            assert await hub.publish("news.sport.local", Story(text)) == 1
        await wait_all_tasks_blocked()
        assert heard == ["one", "two", "three"]
        [letter] = system.dead_letters
        assert (letter.message, letter.reason) == (Story("bad"), Reason.QUARANTINED)


async def test_a_subscription_of_an_incarnation_vanishes_with_it_and_that_of_an_actor_with_that() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        reader = await system.spawn("reader", Reader, [], crash_on="bad")
        hub.subscribe(reader, "news")
        declared = await system.spawn(ActorSpec("other", functools.partial(Reader, []), declares=[Listens("news")]))
        reader.tell(Story("bad"))
        await wait_all_tasks_blocked()
        assert [one.ref for one in hub.subscriptions()] == [declared]
        await system.stop(declared)
        assert hub.subscriptions() == ()
        with pytest.raises(ActorStopped):
            hub.subscribe(declared, "news")


async def test_a_cancelled_subscription_hears_no_more() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        subscription = hub.subscribe(await system.spawn("reader", Reader, []), "news")
        subscription.cancel()
        subscription.cancel()
        assert await hub.publish("news", Story("x")) == 0


async def test_an_address_listens_to_a_pattern_once() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        reader = await system.spawn("reader", Reader, [])
        hub.subscribe(reader, "news.*")
        with pytest.raises(AlreadySubscribed, match=r"home/reader is subscribed to 'news\.\*' already"):
            hub.subscribe(reader, "news.*")


@pytest.mark.parametrize("topic", ["", ".", "a.", "a..b", "a.*", "**", "a\n"])
async def test_what_is_no_topic_is_refused(topic: str) -> None:
    async with open_system() as system:
        with pytest.raises(BadTopic):
            await Hub.of(system).publish(topic, Story("x"))


async def test_a_later_subscriber_can_have_the_last_message_that_was_retained() -> None:
    heard: list[str] = []
    async with open_system() as system:
        hub = Hub.of(system)
        await hub.publish("news.sport", Story("old"), retain=True)
        await hub.publish("news.sport", Story("last"), retain=True)
        await hub.publish("news.sport", Story("not kept"))
        assert hub.retained("news.sport") == Story("last")
        hub.subscribe(await system.spawn("a", Reader, heard), "news.*", retained=True)
        hub.subscribe(await system.spawn("b", Reader, heard), "news.*")
        await wait_all_tasks_blocked()
        assert heard == ["last"]
        hub.forget_retained("news.sport")
        assert hub.retained("news.sport") is None


async def test_an_inbox_lets_a_plain_task_listen() -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        async with system.open_inbox(Story) as inbox:
            hub.subscribe(inbox.ref, "news.**")
            await hub.publish("news.sport", Story("x"))
            assert await inbox.receive() == Story("x")
        assert hub.subscriptions() == ()


async def test_actors_that_publish_to_each_other_for_ever_are_stopped_by_the_count_of_hops() -> None:
    told: list[int] = []

    class Echo(Actor[Story]):
        @receive
        async def echo(self, story: Story) -> None:
            try:
                await Hub.of(self.system).publish("echo", story)
            except TooManyHops as error:
                told.append(error.hops)

    async with open_system(max_hops=10) as system:
        hub = Hub.of(system)
        hub.subscribe(await system.spawn("echo", Echo), "echo")
        await hub.publish("echo", Story("x"))
        await wait_all_tasks_blocked()
        assert told == [11]
        assert system.dead_letters.counts[Reason.TOO_MANY_HOPS] == 1


async def test_a_declaration_that_is_refused_leaves_no_actor_behind() -> None:
    class Twice(Reader):
        declares = (Listens("news"), Listens("news"))

    async with open_system() as system:
        with pytest.raises(AlreadySubscribed):
            await system.spawn("twice", Twice, [])
        assert system.actors() == ()
        assert Hub.of(system).subscriptions() == ()
