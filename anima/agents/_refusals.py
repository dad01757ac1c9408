"""Why an agent refuses a task, or what is left of one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from anima.actors import Refused
from anima.store import StoreError
from anima_supervisors import leaves

from ._codec import UnreadableRecord


class NotKept(Refused):
    """What the agent does cannot be kept, or read: the task was not done, or not further than its journal says."""


class PutAside(Refused):
    """A turn has crashed its agent, or the program, too often: it is left alone until somebody retries it."""


@contextlib.contextmanager
def kept(path: str) -> Iterator[None]:
    """An error of the journal is no crash of the agent: whoever asked is told, and nothing is begun anew over it."""
    try:
        yield
    except (StoreError, UnreadableRecord) as error:
        raise NotKept(f"{path} cannot use its journal: {error}") from error
    except ExceptionGroup as group:  # from the tools of a turn, which run at once
        matched, rest = group.split((StoreError, UnreadableRecord))
        if matched is None or rest is not None:
            raise
        raise NotKept(f"{path} cannot use its journal: {next(leaves(matched))}") from group
