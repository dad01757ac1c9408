"""What every candidate does: the rows of the table, their sizes, the messages, and how they are measured.

Add a row here, and to each candidate that can do it a function of that name (`candidates.py` says how it looks).
"""

from __future__ import annotations

import gc
import os
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import attrs


@attrs.frozen
class Row:
    """A workload: `count` operations, and what one of them is."""

    count: int
    operation: str
    unit: str = "µs"

    @property
    def is_time(self) -> bool:
        """Whether CPU time is measured; otherwise it is memory."""
        return self.unit == "µs"


#: Messages that a mailbox holds, where the candidate bounds its mailboxes.
CAPACITY = 1_000

#: Actors in the ring.
RING = 1_000

#: Idle actors beside the one that crashes, under the same supervisor.
SIBLINGS = 1_000

#: Actors that get each published message.
SUBSCRIBERS = 100

ROWS: dict[str, Row] = {
    "tell": Row(100_000, "one message from one producer to one actor, until the last has been handled"),
    "ask": Row(20_000, "one request to an actor and its reply, one at a time"),
    "ring": Row(100 * RING, f"one hop of a token among {RING:,} actors in a ring"),
    "spawn_stop": Row(2_000, "an actor is started, handles one message, is stopped, and has ended"),
    "idle_bytes": Row(10_000, "memory of one actor that waits for a message", "bytes"),
    "restart": Row(3_000, "an actor crashes on a message, is restarted, and answers a request"),
    "restart_among_1000": Row(3_000, f"the same beside {SIBLINGS:,} idle actors"),
    "publish_100": Row(1_000 * SUBSCRIBERS, f"one message reaches one of {SUBSCRIBERS} subscribers, and is handled"),
}


# A standard dataclass, as autogen-core serializes these and no attrs classes.
@dataclass(frozen=True, slots=True)
class Number:
    """The message that all workloads send; made anew for each that is sent."""

    value: int


@dataclass(frozen=True, slots=True)
class Crash:
    """The message on which an actor crashes."""

    value: int


class Crashed(Exception):
    """What an actor raises on `Crash`."""


@attrs.frozen
class Manner:
    """How a candidate is measured, where it is not like the others: its module's `MANNER`."""

    share: float = attrs.field(default=1.0, kw_only=True)
    """The part of the operations that a very slow candidate does, so that a run ends in bearable time."""

    warm_up: bool = attrs.field(default=True, kw_only=True)
    """Whether a tenth of the work is done beforehand; not where each measurement starts a program of its own."""


class Meter:
    """The CPU microseconds of one operation: those of the whole process in the `with` block, by `operations`."""

    def __init__(self, operations: int) -> None:
        self._operations = operations
        self._begin = 0.0
        self.cost = 0.0

    def __enter__(self) -> Meter:
        gc.collect()
        self._begin = time.process_time()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.cost = (time.process_time() - self._begin) / self._operations * 1e6


def resident_bytes() -> int:
    """The memory that this process has in use, garbage collected."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
