"""The candidates: each file `by_NAME.py` of this folder is one.

It has a function for each row that it can do, `def tell(count: int) -> float` and so on: do `count` operations and
return what one has cost (`Meter` and `resident_bytes` of `workloads.py` measure). Setup and teardown stay outside.
It may have a `MANNER` and a `version()`. What is not installed here it imports at its top, as the file is loaded only
where it is used; it is left out when that raises `ModuleNotFoundError`.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import attrs

from tests.benchmarks.actors.workloads import ROWS, Manner, Row

PREFIX = "by_"

#: The order in which they are shown; others come before them.
LAST = ("channels", "channels_in_place", "pykka", "autogen", "erlang")


@attrs.frozen
class Candidate:
    """One way to do the workloads."""

    name: str
    module: ModuleType

    @property
    def version(self) -> str:
        """What is measured, for the head of the table; empty where that is just Trio."""
        version: Callable[[], str] = getattr(self.module, "version", str)
        return version()

    def has(self, row: str) -> bool:
        return hasattr(self.module, row)

    def measure(self, row: str) -> float:
        """What one operation costs in this process, which is tied to one processor from now on.

        Candidates with threads do best there, as they run one at a time in any case.
        """
        if sys.platform == "linux":
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        work: Callable[[int], float] = getattr(self.module, row)
        manner: Manner = getattr(self.module, "MANNER", Manner())
        count = _count(ROWS[row], manner)
        if manner.warm_up and ROWS[row].is_time:  # what is freed again would hide what the next ones take
            work(count // 10)
        return work(count)


def _count(row: Row, manner: Manner) -> int:
    return round(row.count * manner.share) if row.is_time else row.count


def load(name: str) -> Candidate:
    """The candidate of that name; raises `ModuleNotFoundError` when what it needs is not installed."""
    return Candidate(name, importlib.import_module(f"{__package__}.{PREFIX}{name}"))


def available() -> list[Candidate]:
    """All candidates that are installed; says on stderr which are not."""
    found = []
    names = (path.stem.removeprefix(PREFIX) for path in Path(__file__).parent.glob(f"{PREFIX}*.py"))
    for name in sorted(names, key=lambda name: (LAST.index(name) if name in LAST else -1, name)):
        try:
            found.append(load(name))
        except ModuleNotFoundError as error:
            print(f"{name}: not installed, left out ({error})", file=sys.stderr)
    return found
