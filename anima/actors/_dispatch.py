"""From a message to the method that takes it: found by annotation when the class is made, then a dict."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ._errors import BadActor

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

    __slots__ = ("_declared", "_handlers")

    def __init__(self, declared: Mapping[type, Handler]) -> None:
        self._declared = dict(declared)
        self._handlers: dict[type, Handler | None] = dict(declared)

    @property
    def accepted(self) -> frozenset[type]:
        """The message classes that the actor names."""
        return frozenset(self._declared)

    def handler(self, kind: type) -> Handler | None:
        """The handler of messages of this class: its own, or that of its nearest base; None if there is none."""
        try:
            return self._handlers[kind]
        except KeyError:
            found = next((self._declared[base] for base in kind.__mro__ if base in self._declared), None)
            self._handlers[kind] = found
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
    if declared is not None:
        _check_declared(cls, set(_classes(declared)), handlers)
    return Dispatch(handlers)


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
    return kinds


def _classes(annotation: Any) -> list[type]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [kind for part in get_args(annotation) for kind in _classes(part)]
    return [get_origin(annotation) or annotation]


def _check_declared(cls: type, declared: set[type], handlers: Mapping[type, Handler]) -> None:
    for kind in sorted(declared - handlers.keys(), key=lambda kind: kind.__name__):
        raise BadActor(f"{cls.__qualname__} declares {kind.__name__} and has no handler for it")
    for kind in sorted(handlers.keys() - declared, key=lambda kind: kind.__name__):
        raise BadActor(f"{cls.__qualname__} has a handler for {kind.__name__} and does not declare it")
