"""Subscribers that are slower than what they listen to: what is dropped, and who waits for them."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from anima.actors import Actor, MailboxSpec, Reason, message, open_system, receive
from anima.hub import Hub, Slow, SubscriberSlow
from anima_supervisors import Inline
from anima_supervisors.testing import EventLog


@message
class Story:
    text: str


@message
class Weather:
    degrees: int


class SlowReader(Actor[Story]):
    """Reads the next story when it is let."""

    mailbox = MailboxSpec(capacity=2)

    def __init__(self, heard: list[str], go_on: trio.Semaphore) -> None:
        self._heard = heard
        self._go_on = go_on

    @receive
    async def read(self, story: Story) -> None:
        await self._go_on.acquire()
        self._heard.append(story.text)


@pytest.mark.parametrize("slow", [Slow.DROP_OLDEST, Slow.DROP_NEWEST])
async def test_a_slow_subscriber_that_drops_does_not_slow_the_publisher_and_is_visible(slow: Slow) -> None:
    heard: list[str] = []
    go_on = trio.Semaphore(0)
    log = EventLog()
    async with open_system(on_event=Inline(log)) as system:
        hub = Hub.of(system)
        reader = await system.spawn("reader", SlowReader, heard, go_on)
        subscription = hub.subscribe(reader, "news", slow=slow)
        await hub.publish("news", Story("0"))
        await wait_all_tasks_blocked()  # it is being read, and the mailbox is empty
        delivered = [await hub.publish("news", Story(str(number))) for number in range(1, 6)]
        statistics = subscription.statistics()
        assert (statistics.dropped, statistics.waiting) == (3, 2)
        assert system.dead_letters.counts[Reason.DROPPED] == 3
        assert len(log.of(SubscriberSlow)) == 1
        for _ in range(3):
            go_on.release()
        await wait_all_tasks_blocked()
    if slow is Slow.DROP_OLDEST:
        assert heard == ["0", "4", "5"]
        assert delivered == [1, 1, 1, 1, 1]
    else:
        assert heard == ["0", "1", "2"]
        assert delivered == [1, 1, 0, 0, 0]


async def test_dropping_the_oldest_spares_what_others_have_sent() -> None:
    heard: list[str] = []
    go_on = trio.Semaphore(0)
    async with open_system() as system:
        hub = Hub.of(system)
        reader = await system.spawn("reader", SlowReader, heard, go_on)
        hub.subscribe(reader, "news")
        for text in ("being read", "told", "told too"):
            reader.tell(Story(text))
            await wait_all_tasks_blocked()
        assert await hub.publish("news", Story("published")) == 0
        for _ in range(3):
            go_on.release()
        await wait_all_tasks_blocked()
    assert heard == ["being read", "told", "told too"]


async def test_a_subscription_drops_only_messages_of_the_classes_that_it_asked_for() -> None:
    go_on = trio.Event()
    seen: list[object] = []

    class Both(Actor[Story | Weather]):
        mailbox = MailboxSpec(capacity=2)

        @receive
        async def story(self, story: Story) -> None:
            await go_on.wait()
            seen.append(story)

        @receive
        async def weather(self, weather: Weather) -> None:
            seen.append(weather)

    async with open_system() as system:
        hub = Hub.of(system)
        both = await system.spawn("both", Both)
        both.tell(Story("being read"))
        await wait_all_tasks_blocked()
        hub.subscribe(both, "news", Weather, slow=Slow.WAIT)
        hub.subscribe(both, "news.*", Story)
        hub.subscribe(both, "*", Story)
        for degrees in (1, 2):
            await hub.publish("news", Weather(degrees))
        assert await hub.publish("news", Story("no room")) == 0
        go_on.set()
        await wait_all_tasks_blocked()
        assert seen == [Story("being read"), Weather(1), Weather(2)]


async def test_a_subscriber_that_holds_more_than_it_should_is_no_error_of_the_publisher() -> None:
    class Stasher(Actor[Story]):
        mailbox = MailboxSpec(capacity=2)
        go_on = trio.Event()

        @receive
        async def read(self, story: Story) -> None:
            if story.text == "stash":
                self.stash()
            elif story.text == "unstash":
                self.unstash()
                await type(self).go_on.wait()

    async with open_system() as system:
        hub = Hub.of(system)
        ref = await system.spawn("stasher", Stasher)
        hub.subscribe(ref, "news")
        for text in ("stash", "stash", "unstash"):
            await hub.publish("news", Story(text))
            if text != "unstash":
                await wait_all_tasks_blocked()
        await wait_all_tasks_blocked()
        for text in ("x", "y", "z"):
            await hub.publish("news", Story(text))
        Stasher.go_on.set()


async def test_the_publisher_waits_for_those_that_ask_for_it_and_not_longer_than_it_said(
    autojump_clock: MockClock,
) -> None:
    heard: list[str] = []
    go_on = trio.Semaphore(0)
    async with open_system() as system:
        hub = Hub.of(system)
        reader = await system.spawn("reader", SlowReader, heard, go_on)
        subscription = hub.subscribe(reader, "news", slow=Slow.WAIT)
        for number in range(3):
            await hub.publish("news", Story(str(number)))
            await wait_all_tasks_blocked()
        began = trio.current_time()
        assert await hub.publish("news", Story("too late"), timeout=2) == 0
        assert trio.current_time() - began == 2
        assert subscription.statistics().dropped == 1
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.publish, "news", Story("in time"))
            await trio.sleep(1)
            for _ in range(4):
                go_on.release()
        await wait_all_tasks_blocked()
    assert heard == ["0", "1", "2", "in time"]


async def test_what_waited_for_room_at_a_subscriber_that_ended_is_a_dead_letter(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        hub = Hub.of(system)
        reader = await system.spawn("reader", SlowReader, [], trio.Semaphore(0))
        hub.subscribe(reader, "news", slow=Slow.WAIT)
        for text in "abc":
            reader.tell(Story(text))
            await wait_all_tasks_blocked()
        counts: list[int] = []

        async def publish() -> None:
            counts.append(await hub.publish("news", Story("waits"), timeout=100))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(publish)
            await wait_all_tasks_blocked()
            await system.stop(reader)
        assert counts == [0]
        assert Story("waits") in [letter.message for letter in system.dead_letters]


async def test_what_waits_for_room_does_not_come_any_more_when_its_subscription_is_cancelled() -> None:
    heard: list[str] = []
    go_on = trio.Semaphore(0)
    async with open_system() as system, trio.open_nursery() as nursery:
        hub = Hub.of(system)
        readers = [await system.spawn(id, SlowReader, heard, go_on) for id in "ab"]
        cancelled, other = [hub.subscribe(reader, "news", slow=Slow.WAIT) for reader in readers]
        for reader in readers:
            for text in ("being read", "full", "full"):
                reader.tell(Story(text))
                await wait_all_tasks_blocked()
        counts: list[int] = []

        @nursery.start_soon
        async def publish() -> None:
            counts.append(await hub.publish("news", Story("waits")))

        await wait_all_tasks_blocked()
        cancelled.cancel()
        await wait_all_tasks_blocked()
        assert counts == []
        for _ in range(8):
            go_on.release()
        await wait_all_tasks_blocked()
        assert counts == [1]
        assert sorted(heard) == ["being read"] * 2 + ["full"] * 4 + ["waits"]
        assert (cancelled.delivered, other.delivered) == (0, 1)
        [letter] = system.dead_letters
        assert (letter.message, letter.to, letter.reason) == (Story("waits"), "home/a", Reason.LEFT_OVER)


async def test_a_publication_that_has_just_begun_to_wait_ends_with_the_subscription_too() -> None:
    go_on = trio.Semaphore(0)
    async with open_system() as system, trio.open_nursery() as nursery:
        hub = Hub.of(system)
        reader = await system.spawn("reader", SlowReader, [], go_on)
        subscription = hub.subscribe(reader, "news", slow=Slow.WAIT)
        for text in ("being read", "full", "full"):
            reader.tell(Story(text))
            await wait_all_tasks_blocked()
        nursery.start_soon(hub.publish, "news", Story("waits"))
        for _ in range(2):  # its own task has not had its first turn yet, or has
            await trio.lowlevel.checkpoint()
        subscription.cancel()
        await wait_all_tasks_blocked()
        assert [letter.message for letter in system.dead_letters] == [Story("waits")]
        reader_statistics = reader.statistics()
        assert reader_statistics is not None
        assert reader_statistics.tasks_waiting_put == 0
        for _ in range(3):
            go_on.release()
