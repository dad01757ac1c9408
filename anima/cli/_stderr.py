"""Standard error as commands write to it: whatever becomes of it, they go on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Any


class Tolerant:
    """A stream whose failures hinder nobody: on a full disk, without a reader, closed, what is written is lost.

    `stream` is one of text, or the one of bytes below it.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def write(self, text: Any) -> int:
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def writelines(self, lines: Iterable[Any]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    @property
    def buffer(self) -> Any:
        return Tolerant(self._stream.buffer)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def tolerate_stderr() -> None:
    """Make standard error such a stream, also where the program has none."""
    stream: Any = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 -- for as long as we live
    if not isinstance(stream, Tolerant):
        tolerant: Any = Tolerant(stream)
        sys.stderr = tolerant
