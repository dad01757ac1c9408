"""Messages: frozen attrs classes, and requests that carry the type of their reply."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, dataclass_transform

import attrs

R_co = TypeVar("R_co", covariant=True)
C = TypeVar("C")


@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def message(cls: type[C]) -> type[C]:
    """Make a class a message: a frozen attrs class with slots, compared by value, not hashable.

    Not hashable because nothing needs it, and a hash over all fields invites surprises with lists in them.
    """
    made: Any = attrs.define(cls, slots=True, frozen=True, eq=True, unsafe_hash=False)
    return made  # type: ignore[no-any-return]


class Request(Generic[R_co]):
    """The base of messages that are answered: `class Greet(Request[Greeting])` is answered with a `Greeting`."""

    __slots__ = ()
