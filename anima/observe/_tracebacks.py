"""Errors of the code under supervision, with the frames of its own authors only."""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path

import outcome
import trio

import anima
import anima_supervisors

#: Folders whose frames say nothing about the code under supervision.
_OURS = tuple(str(Path(module.__file__ or "").parent) + os.sep for module in (anima_supervisors, anima, trio, outcome))
_STANDARD = sysconfig.get_path("stdlib") + os.sep


_CAUSE = "The above was the direct cause of this:\n\n"
_CONTEXT = "While that was handled, this happened:\n\n"


def trimmed(error: BaseException) -> str:
    """The traceback of an error without our frames, Trio's and the standard library's; each leaf of a group in turn."""
    return "\n".join("".join(_format(leaf)).rstrip() for leaf in leaves(error))


def place(error: BaseException) -> tuple[object, ...]:
    """Where the code under supervision raised it: type, file and line of each leaf; empty where no frame is its own."""
    places: list[object] = []
    for leaf in leaves(error):
        frames = [frame for frame in traceback.extract_tb(leaf.__traceback__) if not _ours(frame.filename)]
        if frames:
            places.append((type(leaf).__name__, *((frame.filename, frame.lineno) for frame in frames)))
    return tuple(places)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside nested groups; the exception itself where it is no group."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def _format(error: BaseException, seen: frozenset[int] = frozenset()) -> Iterator[str]:
    """The error with what is behind it. A group there is told leaf by leaf as well."""
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if behind is not None and id(behind) not in seen:
        for leaf in leaves(behind):
            yield from _format(leaf, seen | {id(error)})
            yield "\n"
        yield _CAUSE if error.__cause__ is not None else _CONTEXT
    part = traceback.TracebackException.from_exception(error, compact=True)
    part.stack = traceback.StackSummary.from_list([frame for frame in part.stack if not _ours(frame.filename)])
    yield from part.format(chain=False)


def _ours(filename: str) -> bool:
    if filename.startswith((*_OURS, "<frozen")):
        return True
    return filename.startswith(_STANDARD) and "site-packages" not in filename
