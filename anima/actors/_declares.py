"""What an actor is known for wherever it runs: the seam at which the hub, and others, join in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from ._ref import ActorRef


class Declaration(Protocol):
    """A topic an actor listens to, something it can do: part of its class or its spec.

    `check` raises `BadSpec` where it does not fit the class. `enter` makes it known and returns how to take it back:
    with `survives_restarts` when the actor's address comes to life and when it ends for good, without when each
    incarnation is up and when that ends.
    """

    @property
    def survives_restarts(self) -> bool: ...
    def check(self, actor: type[Any]) -> None: ...
    def enter(self, ref: ActorRef[Any]) -> Callable[[], None]: ...
