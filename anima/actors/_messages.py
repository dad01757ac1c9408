"""Messages: frozen attrs classes, requests that carry the type of their reply, and those that every actor knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, dataclass_transform, overload

import attrs

from anima_supervisors import Exit

if TYPE_CHECKING:
    from typing import Self

    from ._ref import ActorRef

R_co = TypeVar("R_co", covariant=True)
C = TypeVar("C")

_IDEMPOTENT = "__anima_idempotent__"


@overload
def message(cls: type[C], /) -> type[C]: ...
@overload
def message(*, idempotent: bool = False) -> Callable[[type[C]], type[C]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(attrs.field,))
def message(cls: type[C] | None = None, /, *, idempotent: bool = False) -> Any:
    """Make a class a message: a frozen attrs class with slots, compared by value, not hashable.

    Not hashable because nothing needs it, and a hash over all fields invites surprises with lists in them.
    `idempotent` says that handling it twice does no more than handling it once, so that it may be sent again.
    """

    def make(cls: type[C]) -> type[C]:
        made: type[C] = attrs.define(cls, slots=True, frozen=True, eq=True, unsafe_hash=False)
        setattr(made, _IDEMPOTENT, idempotent)
        return made

    return make if cls is None else make(cls)


def is_idempotent(kind: type) -> bool:
    """Whether messages of this class may be handled twice."""
    return bool(getattr(kind, _IDEMPOTENT, False))


class Request(Generic[R_co]):
    """The base of messages that are answered: `class Greet(Request[Greeting])` is answered with a `Greeting`."""

    __slots__ = ()

    if TYPE_CHECKING:
        # What `ActorRef.ask` takes is whatever has this method for the reference's messages. So a type checker sees
        # both: that the actor accepts the request, and what the reply will be. It is never called.
        def _asked_of(self, ref: ActorRef[Self]) -> R_co: ...


@message
class Stop:
    """Ends an actor that declares it: no handler is needed. It overtakes what is in the mailbox and is final."""


@message
class Terminated:
    """To who watches: the actor behind `ref` has ended for good, with `reason`, or was never there."""

    ref: ActorRef[Any]
    reason: Exit
