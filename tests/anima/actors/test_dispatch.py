"""Messages and handlers: what an actor class takes is known, and checked, when it is made."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from anima.actors import BadActor, Request, message, receive
from anima.actors._dispatch import Dispatch, dispatch_of


@message
class Greeting:
    text: str


@message
class Greet(Request[Greeting]):
    name: str


@message
class GreetLoudly(Greet):
    pass


@message
class Leave:
    pass


def dispatch(cls: type, declared: object = None) -> Dispatch:
    return dispatch_of(cls, declared, sys._getframe(1).f_locals)


def test_a_message_is_frozen_has_slots_and_is_compared_by_value() -> None:
    assert Greet("Ada") == Greet("Ada")
    assert Greet("Ada") != Greet("Bob")
    with pytest.raises(AttributeError):
        Greet("Ada").name = "Bob"  # type: ignore[misc]
    assert not hasattr(Greet("Ada"), "__dict__")
    with pytest.raises(TypeError, match="unhashable"):
        hash(Greet("Ada"))


class Greeter:
    @receive
    async def greet(self, message: Greet) -> Greeting:
        return Greeting(f"hello {message.name}")

    @receive
    async def other(self, message: Leave | int) -> None: ...

    async def no_handler(self, message: str) -> None: ...


def test_handlers_are_found_by_their_annotation() -> None:
    found = dispatch(Greeter)
    assert found.accepted == {Greet, Leave, int}
    assert found.handler(Greet) is Greeter.greet
    assert found.handler(int) is Greeter.other
    assert found.handler(str) is None


def test_a_subclass_of_a_message_goes_where_the_message_goes() -> None:
    found = dispatch(Greeter)
    assert found.handler(GreetLoudly) is Greeter.greet
    assert found.handler(bool) is Greeter.other


def test_a_subclass_of_an_actor_overrides_adds_and_silences() -> None:
    class Polite(Greeter):
        @receive
        async def greet(self, message: Greet) -> Greeting:
            return Greeting(f"good day, {message.name}")

        @receive
        async def more(self, message: float) -> None: ...

        async def other(self, message: Leave | int) -> None: ...  # no longer a handler

    found = dispatch(Polite)
    assert found.handler(Greet) is Polite.greet
    assert found.accepted == {Greet, float}


def test_messages_of_the_function_around_the_class_are_found() -> None:
    @message
    class Local:
        pass

    class Actor:
        @receive
        async def local(self, message: Local) -> None: ...

    assert dispatch(Actor).accepted == {Local}


def test_what_is_declared_has_a_handler_and_what_has_one_is_declared() -> None:
    assert dispatch(Greeter, Greet | Leave | int).accepted == {Greet, Leave, int}
    with pytest.raises(BadActor, match="declares str and has no handler"):
        dispatch(Greeter, Greet | Leave | int | str)
    with pytest.raises(BadActor, match="has a handler for Leave and does not declare it"):
        dispatch(Greeter, Greet | int)


def _bad(method: Any) -> type:
    return type("Bad", (), {"__module__": __name__, "handle": receive(method)})


async def _no_annotation(self, message):  # type: ignore[no-untyped-def]
    ...


async def _unknown(self: object, message: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821


async def _no_class(self: object, message: 5) -> None: ...  # type: ignore[valid-type]


async def _too_many(self: object, message: Greet, more: int) -> None: ...


def _not_async(self: object, message: Greet) -> None: ...


@pytest.mark.parametrize(
    ("method", "why"),
    [
        (_no_annotation, "needs an annotation"),
        (_unknown, "cannot be read"),
        (_no_class, "no class"),
        (_too_many, "nothing else"),
        (_not_async, "async"),
    ],
)
def test_a_handler_that_can_never_work_is_refused_when_the_class_is_made(method: Any, why: str) -> None:
    with pytest.raises(BadActor, match=why) as caught:
        dispatch(_bad(method))
    assert "Bad.handle" in str(caught.value)


def test_two_handlers_of_one_message_are_refused() -> None:
    class Torn:
        @receive
        async def one(self, message: str) -> None: ...

        @receive
        async def two(self, message: str | int) -> None: ...

    with pytest.raises(BadActor, match="both one and two take str"):
        dispatch(Torn)
