"""Programs for process children, and a log that can be waited for."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import trio

from anima_supervisors import (
    ChildSpec,
    Event,
    Exited,
    Inline,
    ProcessOutput,
    SupervisorSpec,
    Up,
    open_supervisor,
)
from anima_supervisors.testing import EventLog


def python(program: str, *args: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(program), *args]


SLEEP = "import time\ntime.sleep(1000)"


class Watched(EventLog):
    """A log that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = trio.Event()

    def __call__(self, event: Event) -> None:
        super().__call__(event)
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, seen: Callable[[], bool]) -> None:
        with trio.fail_after(30):
            while not seen():
                await self._changed.wait()

    def lines(self, stream: str = "stdout") -> list[str]:
        return [event.line for event in self.of(ProcessOutput) if event.stream == stream]

    async def line(self, text: str, times: int = 1) -> None:
        await self.until(lambda: self.lines().count(text) >= times)

    def exits(self) -> list[object]:
        return [event.exit for event in self.of(Exited) if event.path != "root"]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pid_of(result: object) -> int:
    assert isinstance(result, Up)
    assert isinstance(result.value, int)
    return result.value


async def run_to_the_end(spec: ChildSpec) -> Watched:
    log = Watched()
    async with open_supervisor(SupervisorSpec(), on_event=Inline(log)) as supervisor:
        await supervisor.start_child(spec)
        await log.until(lambda: bool(log.exits()))
    return log
