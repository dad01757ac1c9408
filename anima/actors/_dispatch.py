"""From a message to the method that takes it: found by annotation when the class is made, then a dict."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ._errors import BadActor
from ._messages import Request, Stop

Handler = Callable[[Any, Any], Awaitable[object]]
F = TypeVar("F", bound=Handler)

_MARK = "__anima_receive__"


def receive(method: F) -> F:
    """Mark an async method of an actor as the one that takes the messages of its parameter's annotation.

    The annotation is a class or a union of classes. What a handler of a `Request` returns is the reply.
    """
    setattr(method, _MARK, True)
    return method


class Dispatch:
    """The handlers of one actor class, by the class of the message. Subclasses of a message go where it goes."""

    __slots__ = ("_declared", "handlers", "takes_stop")

    def __init__(self, declared: Mapping[type, Handler], *, takes_stop: bool = False) -> None:
        self._declared = dict(declared)
        #: for a fast look: what was declared, and subclasses once they were seen
        self.handlers: dict[type, Handler] = dict(declared)
        #: it may be told to end; there is no handler for that
        self.takes_stop = takes_stop

    @property
    def accepted(self) -> frozenset[type]:
        """The message classes that the actor names."""
        return frozenset(self._declared) | (frozenset({Stop}) if self.takes_stop else frozenset())

    @property
    def names(self) -> list[str]:
        """Their names, sorted."""
        return sorted(kind.__name__ for kind in self.accepted)

    def handler(self, kind: type) -> Handler | None:
        """The handler of messages of this class: its own, or that of its nearest base; None if there is none."""
        found = self.handlers.get(kind)
        if found is None:
            found = next((self._declared[base] for base in kind.__mro__ if base in self._declared), None)
            if found is not None:
                self.handlers[kind] = found
        return found


def dispatch_of(cls: type, declared: object, local: Mapping[str, Any]) -> Dispatch:
    """Read an actor class. Raises `BadActor` where its handlers and the messages it declares do not fit.

    `declared` is what it declares to accept, `local` the names around its definition.
    """
    handlers: dict[type, Handler] = {}
    for name, method in _marked(cls).items():
        for kind in _accepted_by(cls, name, method, local):
            if kind in handlers:
                raise BadActor(f"{cls.__qualname__}: both {handlers[kind].__name__} and {name} take {kind.__name__}")
            handlers[kind] = method
    if Stop in handlers:
        raise BadActor(f"{cls.__qualname__}: Stop has no handler; what is to be done at the end goes into `stopping`")
    kinds = set(handlers) if declared is None else set(_classes(declared))
    _check_declared(cls, kinds - {Stop}, handlers)
    return Dispatch(handlers, takes_stop=Stop in kinds)


def _marked(cls: type) -> dict[str, Handler]:
    """The marked methods by name; an override stands in the place of what it overrides."""
    found: dict[str, Handler] = {}
    for base in reversed(cls.__mro__):
        for name, method in vars(base).items():
            if getattr(method, _MARK, False):
                found[name] = method
            elif name in found:
                del found[name]  # overridden by something that is no handler
    return found


def _accepted_by(cls: type, name: str, method: Handler, local: Mapping[str, Any]) -> list[type]:
    where = f"{cls.__qualname__}.{name}"
    if not inspect.iscoroutinefunction(method):
        raise BadActor(f"{where}: a handler is an async method")
    parameters = list(inspect.signature(method).parameters)
    if len(parameters) != 2:
        raise BadActor(f"{where}: a handler takes self and the message, nothing else")
    try:
        hints = get_type_hints(method, localns={**vars(sys.modules[cls.__module__]), **local})
    except NameError as error:
        raise BadActor(f"{where}: its annotation cannot be read: {error}") from None
    if parameters[1] not in hints:
        raise BadActor(f"{where}: the message needs an annotation, the class of the messages it takes")
    kinds = _classes(hints[parameters[1]])
    if not all(isinstance(kind, type) for kind in kinds):
        raise BadActor(f"{where}: {hints[parameters[1]]} is no class and no union of classes")
    for kind in kinds:
        _check_reply(where, kind, hints.get("return"))
    return kinds


def _check_reply(where: str, kind: type, returned: Any) -> None:
    """What a handler of a request returns is its reply, as far as both are plain classes."""
    origins = (origin for base in kind.__mro__ for origin in base.__dict__.get("__orig_bases__", ()))
    reply: Any = next((get_args(origin)[0] for origin in origins if get_origin(origin) is Request), None)
    plain = all(isinstance(one, type) and one is not Any for one in (reply, returned))
    if not plain or getattr(reply, "_is_protocol", False):
        return
    numbers = issubclass(returned, int) and reply in (float, complex)  # type checkers let them pass, and so do we
    if not (issubclass(returned, reply) or numbers):
        raise BadActor(f"{where}: {kind.__name__} is answered with {reply.__name__}, it returns {returned.__name__}")


def _classes(annotation: Any) -> list[type]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [kind for part in get_args(annotation) for kind in _classes(part)]
    return [get_origin(annotation) or annotation]


def _check_declared(cls: type, declared: set[type], handlers: Mapping[type, Handler]) -> None:
    for kind in sorted(declared - handlers.keys(), key=lambda kind: kind.__name__):
        raise BadActor(f"{cls.__qualname__} declares {kind.__name__} and has no handler for it")
    for kind in sorted(handlers.keys() - declared, key=lambda kind: kind.__name__):
        raise BadActor(f"{cls.__qualname__} has a handler for {kind.__name__} and does not declare it")
