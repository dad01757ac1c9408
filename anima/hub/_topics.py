"""Topics: what is published reaches all who listen, and nobody slows the publisher who has not asked for it."""

from __future__ import annotations

import contextlib
import enum
import functools
from collections.abc import Callable, Iterator
from typing import Any

import attrs
import trio

from anima.actors import ActorRef, Envelope, MailboxClosed, NotAccepted, Place, Published, Reason, Receiver, System
from anima_supervisors import BadSpec

from ._errors import AlreadySubscribed
from ._events import SubscriberSlow
from ._patterns import PatternIndex, words_of_pattern, words_of_topic

#: After so many deliveries publishers yield to the other tasks.
YIELD_EVERY = 1000
#: As so many deliveries counts what a publication costs that nobody hears.
UNHEARD = 20
#: Of so many topics the subscribers are remembered.
KEPT_TOPICS = 10_000


class Slow(enum.Enum):
    """What happens to a message for a subscriber whose mailbox is full."""

    DROP_OLDEST = "drop_oldest"  #: the oldest message of this subscription in the mailbox makes room
    DROP_NEWEST = "drop_newest"  #: this message is dropped
    WAIT = "wait"  #: the publisher waits for room


@attrs.frozen
class SubscriptionStatistics:
    """What a subscription has seen: messages put into the mailbox, messages dropped, and those that wait there now."""

    delivered: int
    dropped: int
    waiting: int


class Subscription:
    """One address that listens to one pattern. `cancel` it, or let it end with its actor."""

    def __init__(
        self, topics: Topics, ref: ActorRef[Any], pattern: str, kinds: tuple[type, ...], slow: Slow, number: int
    ) -> None:
        self.ref = ref
        self.pattern = pattern
        self.kinds = kinds
        self.slow = slow
        self.number = number
        self.delivered = 0
        self.dropped = 0
        self.behind = False
        self.active = True
        self._topics = topics
        self._waits: set[trio.CancelScope] = set()

    def __repr__(self) -> str:
        return f"<Subscription of {self.ref.path} to {self.pattern}>"

    def cancel(self) -> None:
        """Listen no more. What is in the mailbox stays there; what waits for room in it is a dead letter.

        Without effect the second time.
        """
        self._topics.remove(self)

    def end(self) -> None:
        """It is known no more."""
        self.active = False
        for scope in self._waits:
            scope.cancel(reason="the subscription has ended")

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside this block a message waits for room: the end of the subscription cancels the block."""
        with trio.CancelScope() as scope:
            self._waits.add(scope)
            if not self.active:
                scope.cancel()
            try:
                yield
            finally:
                self._waits.remove(scope)

    def statistics(self) -> SubscriptionStatistics:
        """Looks through the mailbox."""
        statistics = self.ref.statistics()
        waiting = 0 if statistics is None else sum(1 for _ in self.in_mailbox())
        return SubscriptionStatistics(self.delivered, self.dropped, waiting)

    def brought(self, envelope: Envelope) -> bool:
        """Whether a message came by this subscription; where it came by several of one address, by any of them."""
        source = envelope.source
        mine = isinstance(source, frozenset) and self in source
        return mine and (not self.kinds or isinstance(envelope.message, self.kinds))

    def in_mailbox(self) -> list[int]:
        """Where its messages are in the mailbox of its actor, the oldest first."""
        place = self.ref.place()
        if not isinstance(place, Receiver):
            return []
        return [n for n, envelope in enumerate(place.mailbox.queue) if self.brought(envelope)]


@attrs.frozen
class _Audience:
    """Who listens to a topic: resolved once, until a subscription comes or goes."""

    subscriptions: tuple[Subscription, ...]
    as_source: frozenset[Subscription]


class Topics:
    """Who listens to what. Subscriptions vanish with their actors."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._index: PatternIndex[Subscription] = PatternIndex()
        self._known: dict[tuple[str, str], Subscription] = {}
        self._audiences: dict[str, _Audience] = {}
        self._retained: dict[str, object] = {}
        self._last = 0
        self._since_yield = 0

    def __len__(self) -> int:
        return len(self._known)

    def subscriptions(self) -> tuple[Subscription, ...]:
        """All of them, the oldest first."""
        return tuple(self._known.values())

    # Listening

    def subscribe(
        self,
        ref: ActorRef[Any],
        pattern: str,
        *kinds: type,
        slow: Slow = Slow.DROP_OLDEST,
        retained: bool = False,
        survives_restarts: bool = False,
    ) -> Subscription:
        """Have messages of these classes (by default: all that it accepts) told to `ref` when published."""
        words = words_of_pattern(pattern)
        place = ref.place()
        if (ref.path, pattern) in self._known:
            raise AlreadySubscribed(ref.path, pattern)
        for kind in kinds:
            check_accepted(place, kind)
        self._last += 1
        subscription = Subscription(self, ref, pattern, kinds, slow, self._last)
        self._known[ref.path, pattern] = subscription
        self._index.add(words, subscription)
        self._audiences.clear()
        (place.while_there if survives_restarts else place.while_up)(subscription.cancel)
        if retained:
            for topic, message in list(self._retained.items()):
                if self._wants(subscription, place, message) and subscription in self._audience(topic).as_source:
                    self._deliver(subscription, topic, Published(message, None, None, frozenset([subscription])))
        return subscription

    def remove(self, subscription: Subscription) -> None:
        if self._known.get((subscription.ref.path, subscription.pattern)) is subscription:
            subscription.end()
            del self._known[subscription.ref.path, subscription.pattern]
            self._index.remove(words_of_pattern(subscription.pattern), subscription)
            self._audiences.clear()
            place = subscription.ref.place_if_any()
            if place is not None:
                place.forget(subscription.cancel)

    # Publishing

    async def publish(self, topic: str, message: object, *, retain: bool, timeout: float) -> int:
        """Tell a message to everyone who listens. Returns how many have it in their mailbox."""
        await trio.lowlevel.checkpoint_if_cancelled()
        self._since_yield += UNHEARD
        if self._since_yield >= YIELD_EVERY:
            await self._yield()
        audience = self._audience(topic)
        sender = self._system.here()
        trace = None if sender is None else self._system.outgoing(sender, topic, message)
        if retain:
            self._retained[topic] = message
        envelope = Published(message, sender, trace, audience.as_source)
        kind = message.__class__
        delivered = 0
        slow: list[Subscription] = []
        for subscription in audience.subscriptions:
            place = subscription.ref.place_if_any() if subscription.active else None
            if place is None or (kind not in place.accepts and not place.would_accept(kind)):
                continue
            if subscription.kinds and not isinstance(message, subscription.kinds):
                continue
            mailbox = place.pick(message).mailbox
            if mailbox.has_room:
                mailbox.put_nowait(envelope)
                subscription.delivered += 1
                delivered += 1
                subscription.behind = False
            elif subscription.slow is Slow.WAIT:
                slow.append(subscription)
            else:
                delivered += self._deliver(subscription, topic, envelope)
            self._since_yield += 1
            if self._since_yield >= YIELD_EVERY:
                await self._yield()
        if slow:
            delivered += await self._wait_for(slow, topic, envelope, timeout)
        return delivered

    def listeners(self, topic: str, message: object) -> tuple[ActorRef[Any], ...]:
        """Who would be told it."""
        found: list[ActorRef[Any]] = []
        for one in self._audience(topic).subscriptions:
            place = one.ref.place_if_any() if one.active else None
            if place is not None and self._wants(one, place, message):
                found.append(one.ref)
        return tuple(found)

    async def _yield(self) -> None:
        # Shielded: who comes first has the message already, and a cancellation must not say otherwise.
        self._since_yield = 0
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def _wait_for(self, slow: list[Subscription], topic: str, envelope: Published, timeout: float) -> int:
        """Put it into the mailboxes of those that want to be waited for, all at once."""
        delivered = 0
        missing: dict[Subscription, Receiver] = {}

        async def put(subscription: Subscription, receiver: Receiver) -> None:
            nonlocal delivered
            with subscription.waiting(), contextlib.suppress(MailboxClosed):
                await receiver.mailbox.put(envelope)
                subscription.delivered += 1
                delivered += 1
                del missing[subscription]
                return
            del missing[subscription]
            receiver.lost(envelope, Reason.LEFT_OVER)

        for subscription in slow:
            self._fell_behind(subscription, topic)
            place = subscription.ref.place_if_any() if subscription.active else None
            if place is not None:
                missing[subscription] = place.pick(envelope.message)
        with trio.move_on_after(timeout) as scope:
            async with trio.open_nursery() as nursery:
                for subscription, receiver in list(missing.items()):
                    nursery.start_soon(put, subscription, receiver)
        if scope.cancelled_caught:
            for subscription, receiver in missing.items():
                subscription.dropped += 1
                receiver.dropped(envelope)
        return delivered

    def _deliver(self, subscription: Subscription, topic: str, envelope: Published) -> int:
        """Put it into the mailbox of one subscriber, or drop what is to be dropped; how many it has more."""
        receiver = subscription.ref.place().pick(envelope.message)
        if receiver.mailbox.has_room:
            receiver.mailbox.put_nowait(envelope)
            subscription.delivered += 1
            return 1
        subscription.dropped += 1
        self._fell_behind(subscription, topic)
        queue = receiver.mailbox.queue
        oldest = next((n for n, waiting in enumerate(queue) if subscription.brought(waiting)), None)
        if subscription.slow is Slow.DROP_NEWEST or oldest is None:
            receiver.dropped(envelope)
            return 0
        dropped = queue[oldest]
        del queue[oldest]
        receiver.dropped(dropped)
        queue.append(envelope)  # in the place of the other: after a crash the mailbox may hold more than its capacity
        subscription.delivered += 1
        return 1

    def _fell_behind(self, subscription: Subscription, topic: str) -> None:
        if not subscription.behind:
            subscription.behind = True
            self._system.emit(
                SubscriberSlow,
                subscription.ref.path,
                pattern=subscription.pattern,
                topic=topic,
                delivered=subscription.delivered,
                dropped=subscription.dropped,
            )

    def _wants(self, subscription: Subscription, place: Place, message: object) -> bool:
        if subscription.kinds and not isinstance(message, subscription.kinds):
            return False
        return place.would_accept(type(message))

    def _audience(self, topic: str) -> _Audience:
        audience = self._audiences.get(topic)
        if audience is None:
            found = sorted(self._index.matching(words_of_topic(topic)), key=lambda one: one.number)
            audience = _Audience(tuple(found), frozenset(found))
            if len(self._audiences) >= KEPT_TOPICS:
                self._audiences.clear()
            self._audiences[topic] = audience
        return audience

    # Retained messages

    def retained(self, topic: str) -> object:
        """The last message of a topic that was published to be retained; None without one."""
        return self._retained.get(topic)

    def forget_retained(self, topic: str) -> None:
        """Retain nothing for this topic."""
        self._retained.pop(topic, None)


def check_accepted(place: Place, kind: type) -> None:
    """Raise `NotAccepted` where an address does not take messages of a class."""
    if not place.would_accept(kind):
        raise NotAccepted(place.path, kind, place.names)


@attrs.frozen
class Listens:
    """A declaration of an actor: it listens to a topic or pattern, also while it is being restarted.

    Part of `declares` of its class or its spec. `kinds`, `slow` and `retained` are as for `Hub.subscribe`.
    """

    pattern: str
    kinds: tuple[type, ...] = ()
    slow: Slow = Slow.DROP_OLDEST
    retained: bool = False
    survives_restarts: bool = attrs.field(default=True, init=False)

    def __attrs_post_init__(self) -> None:
        words_of_pattern(self.pattern)

    def check(self, actor: type[Any]) -> None:
        for kind in self.kinds:
            if actor._traits.dispatch.handler(kind) is None:
                raise BadSpec(f"{actor.__qualname__} listens to {kind.__name__} and does not accept it")

    def enter(self, ref: ActorRef[Any]) -> Callable[[], None]:
        subscription = ref.system.extension(Topics).subscribe(
            ref, self.pattern, *self.kinds, slow=self.slow, retained=self.retained, survives_restarts=True
        )
        return functools.partial(subscription.cancel)
