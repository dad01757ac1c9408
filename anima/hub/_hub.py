"""The hub of a system: names, topics, capabilities."""

from __future__ import annotations

from typing import Any, TypeVar

from anima.actors import ActorRef, AskedOf, System

from ._capabilities import Capabilities, Capability, Offer, Where
from ._names import Names
from ._topics import Slow, Subscription, Topics

M = TypeVar("M")
R = TypeVar("R")


class Hub:
    """Finds actors by what they are called, what they listen to, and what they can do.

    One for each system: `Hub.of(system)`, inside of actors `Hub.of(self.system)`. Whatever an actor has made known
    vanishes with its incarnation, before its restart begins; what its class or spec declares is known again when the
    new one is up, and topics that it declares to listen to (`Listens`) it hears all the while.
    """

    def __init__(self, system: System) -> None:
        #: the system whose hub this is
        self.system = system
        self._names = system.extension(_names)
        self._topics = system.extension(Topics)
        self._capabilities = system.extension(Capabilities)

    @classmethod
    def of(cls, system: System) -> Hub:
        """The hub of a system."""
        return system.extension(cls)

    # Names

    def register(self, name: str, ref: ActorRef[Any]) -> None:
        """Give a living actor a name. Raises `NameTaken`, `ActorStopped`."""
        self._names.register(name, ref)

    def unregister(self, name: str) -> None:
        """Take a name back. Without effect where nobody has it."""
        self._names.unregister(name)

    def whereis(self, name: str) -> ActorRef[Any] | None:
        """The actor that has this name now."""
        return self._names.whereis(name)

    async def wait_for(self, name: str, timeout: float = 5.0) -> ActorRef[Any]:
        """The actor that has this name; waits at most `timeout` seconds for one. Raises `NameUnknown`.

        Cancelled, it has only waited.
        """
        return await self._names.wait_for(name, timeout)

    # Topics

    def subscribe(
        self,
        ref: ActorRef[M],
        pattern: str,
        *kinds: type[M],
        slow: Slow = Slow.DROP_OLDEST,
        retained: bool = False,
    ) -> Subscription:
        """Have what is published told to `ref`, as long as its incarnation lives, or until `cancel`.

        `pattern` is a topic, or has `*` for one word or `**` at the end for one or more. Messages of other classes than
        `kinds` (by default: than the actor accepts) are left out. `slow` says what happens when the mailbox is full.
        With `retained` the last messages that were published to be retained come first.

        Raises `BadTopic`, `AlreadySubscribed`, `NotAccepted`, `ActorStopped`.
        """
        return self._topics.subscribe(ref, pattern, *kinds, slow=slow, retained=retained)

    async def publish(self, topic: str, message: object, *, retain: bool = False, timeout: float = 5.0) -> int:
        """Tell a message to everyone who listens to the topic. Returns how many mailboxes have it now.

        Waits for those with `Slow.WAIT` only, at most `timeout` seconds: who has no room by then misses it, as a dead
        letter; without them it yields to other tasks only now and then. With `retain` later subscribers can have it
        too. Cancelled while it waits, those who had room have it.
        Raises `BadTopic`, `TooManyHops`.
        """
        return await self._topics.publish(topic, message, retain=retain, timeout=timeout)

    def listeners(self, topic: str, message: object) -> tuple[ActorRef[Any], ...]:
        """The actors that would be told this message on this topic now. Raises `BadTopic`."""
        return self._topics.listeners(topic, message)

    def subscriptions(self) -> tuple[Subscription, ...]:
        """All subscriptions, the oldest first; `statistics()` of each shows who is slow."""
        return self._topics.subscriptions()

    def retained(self, topic: str) -> object:
        """The message that a topic retains; None without one."""
        return self._topics.retained(topic)

    def forget_retained(self, topic: str) -> None:
        """Have a topic retain nothing."""
        self._topics.forget_retained(topic)

    # Capabilities

    def offer(self, ref: ActorRef[Any], capability: Capability) -> Offer:
        """Make known what a living actor can do, until its incarnation ends or the offer is withdrawn.

        Raises `NotAccepted`, `ActorStopped`.
        """
        return self._capabilities.offer(ref, capability)

    def find(
        self, capability: str, *, version: str | None = None, where: Where | None = None
    ) -> tuple[ActorRef[Any], ...]:
        """Who can do it, the longest known first. `where`: values of attributes, or a function of the `Capability`."""
        return tuple(offer.ref for offer in self._capabilities.find(capability, version, where))

    def offers(self, capability: str, *, version: str | None = None, where: Where | None = None) -> tuple[Offer, ...]:
        """As `find`, with what each of them says about itself."""
        return tuple(self._capabilities.find(capability, version, where))

    async def ask_any(
        self,
        capability: str,
        request: AskedOf[Any, R],
        *,
        version: str | None = None,
        where: Where | None = None,
        timeout: float | None = None,
    ) -> R:
        """Ask whoever can do it and has the fewest messages before it. Waits as `ActorRef.ask` does.

        If that one dies before it has answered, another one is asked, within the same `timeout`, provided that the
        request's class is declared as idempotent. Raises `NoProvider`, and what `ask` raises.
        """
        answer: R = await self._capabilities.ask_any(capability, request, version=version, where=where, timeout=timeout)
        return answer

    def watch_capability(self, capability: str, ref: ActorRef[Any]) -> None:
        """Tell `ref`, an actor or an inbox, by `Came` and `Went` who can do it: first who can now, then each change.

        These messages do not wait behind a full mailbox. Ends with the watcher's incarnation. Raises `NotAccepted`.
        """
        self._capabilities.watch(ref.place(), capability)

    def unwatch_capability(self, capability: str, ref: ActorRef[Any]) -> None:
        """Tell it no more."""
        self._capabilities.unwatch(ref.place(), capability)


def _names(_: System) -> Names:
    return Names()
