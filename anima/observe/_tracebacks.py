"""Errors of the code under supervision, with the frames of its own authors only."""

from __future__ import annotations

import os
import sysconfig
import traceback
import types
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
    return "\n".join("".join(_format(leaf, raised)).rstrip() for leaf, raised in _placed(error, error.__traceback__))


def place(error: BaseException) -> tuple[object, ...]:
    """Where the code under supervision raised it: type, file and line of each leaf; empty where no frame is its own."""
    places: list[object] = []
    for leaf, raised in _placed(error, error.__traceback__):
        frames = [frame for frame in traceback.extract_tb(raised) if not _ours(frame.filename)]
        if frames:
            places.append((type(leaf).__name__, *((frame.filename, frame.lineno) for frame in frames)))
    return tuple(places)


def _placed(
    error: BaseException, raised: types.TracebackType | None
) -> Iterator[tuple[BaseException, types.TracebackType | None]]:
    """The leaves with their tracebacks; one that was never raised on its own has that of its group."""
    raised = error.__traceback__ or raised
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _placed(inner, raised)
    else:
        yield error, raised


def _format(
    error: BaseException, raised: types.TracebackType | None, seen: frozenset[int] = frozenset()
) -> Iterator[str]:
    """The error with what is behind it. A group there is told leaf by leaf as well."""
    behind = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if behind is not None and id(behind) not in seen:
        for leaf, where in _placed(behind, behind.__traceback__):
            yield from _format(leaf, where, seen | {id(error)})
            yield "\n"
        yield _CAUSE if error.__cause__ is not None else _CONTEXT
    part = traceback.TracebackException(type(error), error, raised, compact=True)
    part.stack = traceback.StackSummary.from_list([frame for frame in part.stack if not _ours(frame.filename)])
    yield from part.format(chain=False)


def _ours(filename: str) -> bool:
    if filename.startswith((*_OURS, "<frozen")):
        return True
    return filename.startswith(_STANDARD) and "site-packages" not in filename
