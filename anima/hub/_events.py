"""What happens at the hub, as events of the tree (schema `anima.supervision`)."""

from __future__ import annotations

from typing import ClassVar

import attrs

from anima_supervisors import Event


@attrs.frozen(kw_only=True)
class SubscriberSlow(Event):
    """A subscriber has no room for a message of `pattern`. Told once, until there is room again."""

    name: ClassVar[str] = "subscriber.slow"
    pattern: str
    topic: str
    delivered: int
    dropped: int


def hub_events() -> dict[str, type[Event]]:
    """The kinds of events that the hub adds, by their names."""
    return {SubscriberSlow.name: SubscriberSlow}
