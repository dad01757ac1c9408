"""Errors of the code under supervision, with the frames of its own authors only."""

from __future__ import annotations

import os
import sysconfig
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

import trio

import anima
import anima_supervisors

#: Folders whose frames say nothing about the code under supervision.
_OURS = tuple(str(Path(file).parent) + os.sep for file in (anima_supervisors.__file__, trio.__file__, anima.__file__))
_STANDARD = sysconfig.get_path("stdlib") + os.sep


def trimmed(error: BaseException) -> str:
    """The traceback of an error without our frames, Trio's and the standard library's; each leaf of a group in turn."""
    return "\n".join("".join(_format(leaf)).rstrip() for leaf in _leaves(error))


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error


def _format(error: BaseException) -> Iterable[str]:
    whole = traceback.TracebackException.from_exception(error, compact=True)
    part: traceback.TracebackException | None = whole
    while part is not None:
        part.stack = traceback.StackSummary.from_list([frame for frame in part.stack if not _ours(frame.filename)])
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    return whole.format()


def _ours(filename: str) -> bool:
    if filename.startswith(_OURS) or filename.startswith("<frozen"):
        return True
    return filename.startswith(_STANDARD) and "site-packages" not in filename
