"""What happens between actors, as events of the tree (schema `anima.supervision`)."""

from __future__ import annotations

from typing import ClassVar

import attrs

from anima_supervisors import Event


@attrs.frozen(kw_only=True)
class DeadLettered(Event):
    """Nobody took a message for the actor at `path`: see `Reason`. `message` is the name of its class."""

    name: ClassVar[str] = "message.dead_letter"
    floods: ClassVar[bool] = True
    reason: str
    message: str
    sender: str | None
    attempts: int
    error: str | None


def actor_events() -> dict[str, type[Event]]:
    """The kinds of events that actors add, by their names."""
    return {DeadLettered.name: DeadLettered}
