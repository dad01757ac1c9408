"""Server-sent events out of bytes: pure, and the same however the bytes were cut."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

#: No line, and no event, of a model is as long as this.
LONGEST = 1024 * 1024

_BOM = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\r|\n")


@attrs.frozen
class ServerEvent:
    """One event: its data, and its type where the server names one."""

    data: str
    type: str = ""


class TooLong(ValueError):
    """A line or an event that does not end."""


class SseParser:
    """Takes bytes as they come and gives the events that they complete. What is not ended by an empty line is none."""

    def __init__(self, *, longest: int = LONGEST) -> None:
        self._longest = longest
        self._bytes = bytearray()
        self._searched = 0  # so many of them hold no end of a line
        self._begun = False  # the mark of the byte order can come no more
        self._after_return = False  # a line feed now is the other half of the last end of a line
        self._type = ""
        self._data: list[str] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[ServerEvent]:
        """The events that end in `piece`. To be read to its end. Raises `TooLong` where its turn comes."""
        self._bytes += piece
        if not self._begun:
            if len(self._bytes) < len(_BOM) and _BOM.startswith(self._bytes):
                return
            self._begun = True
            if self._bytes.startswith(_BOM):
                del self._bytes[: len(_BOM)]
        while True:
            if self._after_return and self._bytes:
                self._after_return = False
                if self._bytes.startswith(b"\n"):
                    del self._bytes[:1]
            end = _LINE_END.search(self._bytes, self._searched)
            length = len(self._bytes) if end is None else end.start()
            if length + self._size > self._longest:
                raise TooLong(f"an event is longer than {self._longest} bytes")
            if end is None:
                self._searched = length
                return
            line = self._bytes[:length].decode("utf-8", "replace")
            self._after_return = end.group() == b"\r"
            del self._bytes[: end.end()]
            self._searched = 0
            if line:
                self._take(line, length)
            elif self._data:
                yield ServerEvent("\n".join(self._data), self._type)
                self._forget()
            else:
                self._forget()

    def _take(self, line: str, length: int) -> None:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            self._data.append(value)
            self._size += length
        elif field == "event":
            self._type = value

    def _forget(self) -> None:
        self._type = ""
        self._data.clear()
        self._size = 0
