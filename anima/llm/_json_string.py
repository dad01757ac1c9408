"""A JSON string that comes in pieces, decoded as it comes. Pure: any split gives the same text."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r'["\\]')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_LOST = "\N{REPLACEMENT CHARACTER}"


class JsonString:
    """Takes what follows the opening quote. Forgiving: raw newlines count, an unknown escape is what it escapes."""

    def __init__(self) -> None:
        #: the closing quote has come
        self.over = False
        self._pending = ""  # the beginning of an escape

    def feed(self, piece: str) -> str:
        """What of the text has become known. After the closing quote nothing has."""
        if self.over:
            return ""
        text, self._pending = self._pending + piece, ""
        known: list[str] = []
        at = 0
        while (special := _SPECIAL.search(text, at)) is not None:
            known.append(text[at : special.start()])
            at = special.start()
            if text[at] == '"':
                self.over = True
                return "".join(known)
            decoded, length = _escape(text, at)
            if length == 0:
                self._pending = text[at:]
                return "".join(known)
            known.append(decoded)
            at += length
        known.append(text[at:])
        return "".join(known)


def _escape(text: str, at: int) -> tuple[str, int]:
    """What the escape that begins here means, and how long it is: 0 if that is not known yet."""
    kind = text[at + 1 : at + 2]
    if kind != "u":
        return _ESCAPES.get(kind, kind), 2 if kind else 0
    if len(text) < at + 6:
        return "", 0
    code = _hex(text, at + 2)
    if code is None:
        return _LOST, 6
    if not 0xD800 <= code < 0xE000:
        return chr(code), 6
    after = text[at + 6 : at + 12]
    if code >= 0xDC00 or not "\\u".startswith(after[:2]):
        return _LOST, 6  # half of a pair, without the other half
    if len(after) < 6:
        return "", 0
    low = _hex(text, at + 8)
    if low is None or not 0xDC00 <= low < 0xE000:
        return _LOST, 6
    return chr(0x10000 + (code - 0xD800) * 0x400 + low - 0xDC00), 12


def _hex(text: str, at: int) -> int | None:
    digits = text[at : at + 4]
    return int(digits, 16) if re.fullmatch(r"[0-9a-fA-F]{4}", digits) else None
