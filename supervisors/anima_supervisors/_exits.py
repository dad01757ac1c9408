"""Why a child ended, and the words with which a child says so itself.

An `Exit` is a value, never an exception: the supervisor decides by it, events carry it, `supervisor.exit` is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import attrs
import trio


@attrs.frozen
class Normal:
    """The child returned."""

    word: ClassVar[str] = "normal"
    clean: ClassVar[bool] = True


@attrs.frozen
class Shutdown:
    """The child was stopped by its supervisor, or ended cleanly with something to say.

    `info` is what it said (OTP's `{shutdown, Term}`). A `final` exit is not restarted, not even by
    `Restart.PERMANENT`.
    """

    info: object = None
    final: bool = False
    word: ClassVar[str] = "shutdown"
    clean: ClassVar[bool] = True


@attrs.frozen
class Error:
    """The child raised. `exception` is the object it raised, a group where it raised a group."""

    exception: BaseException
    word: ClassVar[str] = "error"
    clean: ClassVar[bool] = False


@attrs.frozen
class Killed:
    """The child was cancelled without a request, or outlived its `shutdown`.

    `error` is what its cleanup raised, if it did.
    """

    error: BaseException | None = None
    word: ClassVar[str] = "killed"
    clean: ClassVar[bool] = False


Exit = Normal | Shutdown | Error | Killed


def error_of(exit: Exit) -> BaseException | None:
    """The exception behind an exit: what a give-up has as its cause and a snapshot as its last error."""
    match exit:
        case Error(exception):
            return exception
        case Killed(error):
            return error
        case Shutdown(BaseException() as info):
            return info
        case _:
            return None


class Ignore(Exception):
    """Raised by a child before it is up: it is not wanted this time.

    The start counts as a success, the child stays down and its spec is kept (rule A4); at a restart too. Once the child
    is up this is an error like any other.
    """


def is_ignore(error: BaseException | None) -> bool:
    """Whether a child says by this error, or by a group of nothing else, that it is not wanted."""
    return error is not None and all(isinstance(leaf, Ignore) for leaf in leaves(error))


class CleanExit(Exception):
    """Raised by a child, at any depth: end with `Shutdown(info)`. A permanent child is restarted all the same."""

    final: ClassVar[bool] = False

    def __init__(self, info: object = None) -> None:
        super().__init__(info)
        self.info = info


class DoNotRestart(CleanExit):
    """Raised by a child, at any depth: end with `Shutdown(info, final=True)`, and do not restart me."""

    final = True


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside nested groups, in order; the exception itself where it is no group."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def split_cancelled(error: BaseException) -> tuple[BaseException | None, BaseException | None]:
    """The cancellations in an error, and all else in it."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)
    return (error, None) if isinstance(error, trio.Cancelled) else (None, error)


def exit_for(error: BaseException) -> Exit:
    """The exit of a child that raised `error` on its own account.

    A group in which every exception is a `CleanExit` is one too: nurseries wrap what they pass on.
    """
    if not isinstance(error, BaseExceptionGroup):
        return Shutdown(error.info, final=error.final) if isinstance(error, CleanExit) else Error(error)
    said = [leaf for leaf in leaves(error) if isinstance(leaf, CleanExit)]
    if said and len(said) == sum(1 for _ in leaves(error)):
        return Shutdown(said[0].info, final=any(leaf.final for leaf in said))
    return Error(error)
