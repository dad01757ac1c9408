"""Where the events of a running tree go: a file of JSON lines, the log, the live view, the summary.

All of it is called in the hook's thread: a paused terminal, a full pipe or a slow disk holds up that thread and never
the tree.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from anima_supervisors import Event, Snapshot

from ._drawing import table
from ._early import EarlyTree
from ._lines import Lines
from ._record import record

if TYPE_CHECKING:
    import loguru
    from rich.console import Console


class JsonLines:
    """Appends each event to a file, as one JSON object a line. Raises `OSError` when the file cannot be opened."""

    def __init__(self, file: Path) -> None:
        self._stream = file.open("a", encoding="utf-8", buffering=1)

    def __call__(self, event: Event) -> None:
        self._stream.write(json.dumps(record(event)) + "\n")

    def close(self) -> None:
        self._stream.close()


class Log:
    """Writes each event as a line for people or, with `json_format`, as its record.

    `level` is the least that is written: "INFO", or "DEBUG", "WARNING".
    """

    def __init__(self, stream: TextIO = sys.stderr, *, level: str = "INFO", json_format: bool = False) -> None:
        self._lines = Lines()
        self._hidden = _BELOW[level]
        self._stream = stream
        self._logger = None if json_format else _logger(self._write, level, colour=stream.isatty())
        self.print: Callable[[str], Any] | None = None  # set by a live view, above which the log scrolls

    def _write(self, text: str) -> None:
        if self.print is not None:
            self.print(text.rstrip("\n"))
            return
        encoding = self._stream.encoding or "utf-8"
        self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        self._stream.flush()

    def __call__(self, event: Event) -> None:
        line = self._lines.line(event)
        if self._logger is not None:
            self._logger.log(line.level, "{}", line.text if line.detail is None else f"{line.text}\n{line.detail}")
        elif line.level not in self._hidden:
            traceback = {} if line.detail is None else {"traceback": line.detail}
            self._write(json.dumps({"level": line.level, **record(event), **traceback}) + "\n")

    def say(self, text: str, level: str = "ERROR") -> None:
        """A line that comes from no event, like the reason why a run failed."""
        if self._logger is None:
            text = json.dumps({"level": level, "event": "anima.said", "text": text})
        self._write(f"{text}\n")


#: The levels that are hidden at each level.
_BELOW = {"DEBUG": (), "INFO": ("DEBUG",), "WARNING": ("DEBUG", "INFO")}


def _logger(write: Callable[[str], None], level: str, *, colour: bool) -> loguru.Logger:
    from loguru import logger

    logger.remove()
    logger.add(
        write,
        level=level,
        format="<dim>{time:HH:mm:ss.SSS}</dim> <level>{level: <7}</level> {message}",
        colorize=colour,
        backtrace=False,
        diagnose=False,
        catch=False,  # who calls the log knows what to do about a stream that is gone
    )
    return logger


#: How often, in seconds, the live view is drawn anew, and the log above it printed.
DRAW_EVERY = 0.25


class LiveView:
    """The tree on the terminal, drawn from the last snapshot; the log scrolls above it.

    Drawn in a thread of its own, a few times a second: each line of the log by itself would draw the whole tree again.
    """

    def __init__(self, stream: TextIO, log: Log) -> None:
        self._stream = stream
        self._early = EarlyTree()
        self._snapshot: Snapshot | None = None
        self._budgets: Mapping[str, str] = {}
        self._lines: deque[str] = deque()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._draw, name="anima-view", daemon=True)
        log.print = self._lines.append

    def show(self, snapshot: Snapshot, budgets: Mapping[str, str] | None = None) -> None:
        """Take note of the tree as it is now, and of what its supervisors' budgets have left; never blocks."""
        self._snapshot = snapshot
        self._budgets = budgets or {}

    def __call__(self, event: Event) -> None:
        """Begin to draw at the first event; until there is a snapshot, what the events say."""
        if self._snapshot is None:
            self._early.add(event)
        if not self._thread.ident:
            self._thread.start()

    def stop(self) -> None:
        """Draw no more and print what is left of the log. Blocks while the terminal is paused."""
        self._ending.set()
        if self._thread.ident:
            self._thread.join()

    def _draw(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream)
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not self._ending.wait(DRAW_EVERY):
                self._print(console)
                snapshot = self._snapshot or self._early.snapshot()
                if snapshot is not None:
                    live.update(table(snapshot, console.height - 1, self._budgets), refresh=True)
        self._print(console)

    def _print(self, console: Console) -> None:
        from rich.text import Text

        lines = [self._lines.popleft() for _ in range(len(self._lines))]
        if lines:
            console.print(Text.from_ansi("\n".join(lines)), soft_wrap=True)
