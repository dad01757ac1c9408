"""Discovery: who can do what, by name, version and attributes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import attrs
import trio

from anima.actors import (
    ActorRef,
    ActorStopped,
    AskFailed,
    Place,
    Receiver,
    System,
    is_idempotent,
    message,
)
from anima_supervisors import BadSpec

from ._errors import NoProvider
from ._offers import DrawableSet
from ._topics import check_accepted

R = TypeVar("R")

#: Of more candidates than this, so many are drawn at random and the least loaded of them is asked.
LOOKED_AT = 32

Where = Mapping[str, Hashable] | Callable[["Capability"], bool]


def _frozen(attributes: Mapping[str, Hashable]) -> Mapping[str, Hashable]:
    return MappingProxyType(dict(attributes))


@attrs.frozen(eq=False)
class Capability:
    """Something that an actor can do: a declaration in `declares` of its class or its spec, or for `Hub.offer`.

    `attributes` have hashable values. `accepts` is the class of the messages by which it is asked to do it, if that is
    to be checked; the actor must take them. It vanishes with each incarnation, before the restart begins.
    """

    name: str
    version: str | None = None
    attributes: Mapping[str, Hashable] = attrs.field(factory=dict, converter=_frozen)
    accepts: type | None = None
    survives_restarts: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.isprintable() or not self.name:
            raise BadSpec(f"the name of a capability is a text that can be printed and is not empty, not {self.name!r}")
        for key, value in self.attributes.items():
            if not isinstance(value, Hashable):
                raise BadSpec(f"capability {self.name!r}: the attribute {key!r} must be hashable, not {value!r}")

    def check(self, actor: type[Any]) -> None:
        if self.accepts is not None and actor._traits.dispatch.handler(self.accepts) is None:
            raise BadSpec(
                f"{actor.__qualname__} offers {self.name!r} by {self.accepts.__name__} and does not accept that"
            )

    def enter(self, ref: ActorRef[Any]) -> Callable[[], None]:
        return functools.partial(ref.system.extension(Capabilities).offer(ref, self, while_up=False).withdraw)

    def index_keys(self) -> Iterator[tuple[str, ...] | tuple[str, str, Hashable]]:
        """The keys of the index under which it can be found."""
        yield (self.name,)
        if self.version is not None:
            yield (self.name, "version", self.version)
        for key, value in self.attributes.items():
            yield (self.name, f"attribute {key}", value)


@message
class Came:
    """To who watches a capability: `ref` offers it from now on, or did already."""

    ref: ActorRef[Any]
    capability: Capability


@message
class Went:
    """To who watches a capability: `ref` does not offer it any more."""

    ref: ActorRef[Any]
    capability: Capability


class Offer:
    """One actor that offers one capability."""

    __slots__ = ("_capabilities", "capability", "number", "ref")

    def __init__(self, capabilities: Capabilities, ref: ActorRef[Any], capability: Capability, number: int) -> None:
        self._capabilities = capabilities
        self.ref = ref
        self.capability = capability
        self.number = number

    def withdraw(self) -> None:
        """Offer it no more. Without effect the second time."""
        self._capabilities.withdraw(self)


class Capabilities:
    """Who offers what. Adding, removing and finding cost the same however many there are."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._index: dict[Any, DrawableSet[Offer]] = {}
        self._watchers: dict[str, dict[Receiver, Callable[[], None]]] = {}
        self._last = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    # Offering

    def offer(self, ref: ActorRef[Any], capability: Capability, *, while_up: bool = True) -> Offer:
        """Make known what an actor can do. With `while_up` it is withdrawn when its incarnation ends."""
        place = ref.place()
        if capability.accepts is not None:
            check_accepted(place, capability.accepts)
        self._last += 1
        self._count += 1
        offer = Offer(self, ref, capability, self._last)
        for key in capability.index_keys():
            if key not in self._index:
                self._index[key] = DrawableSet()
            self._index[key].add(offer)
        if while_up:
            place.while_up(offer.withdraw)
        self._tell(capability.name, Came(ref, capability))
        return offer

    def withdraw(self, offer: Offer) -> None:
        if offer not in self._index.get((offer.capability.name,), ()):
            return
        self._count -= 1
        for key in offer.capability.index_keys():
            self._index[key].remove(offer)
            if not self._index[key]:
                del self._index[key]
        place = offer.ref.place_if_any()
        if place is not None:
            place.forget(offer.withdraw)
        self._tell(offer.capability.name, Went(offer.ref, offer.capability))

    # Finding

    def find(self, name: str, version: str | None, where: Where | None) -> list[Offer]:
        """The offers, in the order in which they were made."""
        smallest, rest = self._narrowed(name, version, where)
        return sorted(filter(rest, smallest), key=lambda offer: offer.number)

    def _narrowed(
        self, name: str, version: str | None, where: Where | None
    ) -> tuple[DrawableSet[Offer], Callable[[Offer], bool]]:
        """The smallest set of the index that has all of them, and what else has to hold for its members."""
        keys: list[Any] = [(name,)]
        if version is not None:
            keys.append((name, "version", version))
        if isinstance(where, Mapping):
            keys += [(name, f"attribute {key}", value) for key, value in where.items()]
        sets = [self._index.get(key, DrawableSet[Offer]()) for key in keys]
        smallest = min(sets, key=len)
        others = [one for one in sets if one is not smallest]
        predicate = where if callable(where) else None

        def rest(offer: Offer) -> bool:
            return all(offer in one for one in others) and (predicate is None or predicate(offer.capability))

        return smallest, rest

    async def ask_any(
        self, name: str, request: Any, *, version: str | None, where: Where | None, timeout: float | None
    ) -> Any:
        """Ask the least loaded of those that live; another one when it dies, if the request may be handled twice."""
        deadline = None if timeout is None else trio.current_time() + timeout
        tried: set[str] = set()
        cause: Exception | None = None
        while True:
            chosen = self._least_loaded(name, request, version, where, tried)
            if chosen is None:
                await trio.lowlevel.checkpoint()  # or a loop of attempts would let nobody else run
                raise NoProvider(name, self._why_nobody(name, request, len(tried))) from cause
            left = None if deadline is None else max(0.0, deadline - trio.current_time())
            try:
                return await chosen.ask(request, timeout=left)
            except (ActorStopped, AskFailed) as error:
                if not is_idempotent(type(request)):
                    raise
                cause = error
                tried.add(chosen.path)

    def _least_loaded(
        self, name: str, request: object, version: str | None, where: Where | None, tried: set[str]
    ) -> ActorRef[Any] | None:
        smallest, rest = self._narrowed(name, version, where)

        def fits(offer: Offer) -> bool:
            place = offer.ref.place_if_any()
            living = place is not None and place.would_accept(type(request))
            return living and offer.ref.path not in tried and rest(offer)

        drawn = smallest.some(LOOKED_AT, self._system.random)
        candidates = [offer for offer in drawn if fits(offer)]
        if not candidates and len(smallest) > len(drawn):
            candidates = [offer for offer in smallest if fits(offer)]
        if not candidates:
            return None
        return min(candidates, key=lambda offer: (load_of(offer.ref), self._system.random.random())).ref

    def _why_nobody(self, name: str, request: object, tried: int) -> str:
        """What is in the way, as far as that can be said."""
        offers = list(self._index.get((name,), ()))
        kind = type(request).__name__
        places = [offer.ref.place_if_any() for offer in offers]
        if tried:
            return f"{tried} that were asked have failed to answer, and there is no other"
        if offers and not any(place is not None and place.would_accept(type(request)) for place in places):
            return f"{len(offers)} offer it, and none of them accepts {kind}: {offers[0].ref.path} does not"
        return f"{len(offers)} offer it, and none of them as it was asked for" if offers else "nobody offers it"

    # Watching

    def watch(self, watcher: Place, name: str) -> None:
        """Tell a receiver who comes and who goes, and first who is there."""
        if not isinstance(watcher, Receiver):
            raise BadSpec(f"{watcher.path} is a pool, and only an actor or an inbox can watch a capability")
        for kind in (Came, Went):
            check_accepted(watcher, kind)
        watchers = self._watchers.setdefault(name, {})
        if watcher in watchers:
            return
        watchers[watcher] = undo = functools.partial(self.unwatch, watcher, name)
        watcher.while_up(undo)
        for offer in sorted(self._index.get((name,), ()), key=lambda offer: offer.number):
            watcher.tell_news(Came(offer.ref, offer.capability))

    def unwatch(self, watcher: Place, name: str) -> None:
        watchers = self._watchers.get(name, {})
        undo = watchers.pop(watcher, None) if isinstance(watcher, Receiver) else None
        if undo is not None:
            watcher.forget(undo)
            if not watchers:
                del self._watchers[name]

    def _tell(self, name: str, change: Came | Went) -> None:
        for watcher in list(self._watchers.get(name, ())):
            watcher.tell_news(change)


def load_of(ref: ActorRef[Any]) -> int:
    """How many messages an actor has before it."""
    place = ref.place_if_any()
    return 0 if place is None else place.load
