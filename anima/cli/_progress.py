"""A line on the terminal that says what takes so long, while nothing else is said."""

from __future__ import annotations

import threading
from typing import TextIO

import trio

from anima.agents import (
    ModelAsked,
    ModelReplied,
    ReasoningStreamed,
    TextStreamed,
    ToolBegun,
    ToolDone,
    TurnDone,
    TurnEvent,
)

#: Nothing is shown of what takes less, in seconds.
PATIENCE = 1.0
#: How often the line is drawn anew, in seconds.
DRAW_EVERY = 0.5

_CLEAR = "\r\x1b[K"


class Progress:
    """What the agent is doing, and for how long, on a terminal; elsewhere nothing."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream if stream.isatty() else None
        self._doing: dict[int, str] = {}
        self._since = 0.0
        self._talking = False
        self._shown = False
        self._lock = threading.Lock()

    def seen(self, events: list[TurnEvent]) -> None:
        """Take note of what happens; the line goes, so that something can be printed."""
        for event in events:
            match event:
                case ModelAsked(_, step, model):
                    self._begin(step, f"waiting for {model}")
                case ToolBegun(_, step, tool, _):
                    self._begin(step, f"running {tool}")
                case ReasoningStreamed():
                    self._doing = dict.fromkeys(self._doing, "thinking")
                case TextStreamed():
                    self._talking = True
                case ModelReplied(_, step) | ToolDone(_, step):
                    self._doing.pop(step, None)
                    self._talking = False
                case TurnDone():
                    self._doing = {}
        self.clear()

    def _begin(self, step: int, what: str) -> None:
        if not self._doing:
            self._since = trio.current_time()
        self._doing[step] = what

    async def run(self) -> None:
        """Draw, for ever."""
        while self._stream is not None:
            await trio.sleep(DRAW_EVERY)
            seconds = trio.current_time() - self._since
            if self._doing and not self._talking and seconds >= PATIENCE:
                line = f"{', '.join(self._doing.values())} ({seconds:.0f} s)"
                await trio.to_thread.run_sync(self._draw, line)
        await trio.sleep_forever()

    def _draw(self, line: str) -> None:
        with self._lock:
            assert self._stream is not None
            self._stream.write(f"{_CLEAR}{line[:100]}")
            self._stream.flush()
            self._shown = True

    def clear(self) -> None:
        """Take the line away. From any thread."""
        if self._shown:
            with self._lock:
                assert self._stream is not None
                self._stream.write(_CLEAR)
                self._stream.flush()
                self._shown = False
