"""What a tool returns, as text that fits: head and tail kept, the whole of it on disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import attrs
import trio

#: Handles look like this; `read_file` takes them for paths.
HANDLE = re.compile(r"output:([0-9a-f]{16})")
KEEP_SECONDS = 10.0
#: How far a cut moves to keep together what is seen as one character.
LONGEST_CHARACTER = 32


@attrs.frozen
class Output:
    """A text that fits, and where the whole of it is if it is not all."""

    text: str
    handle: str | None = None


def as_text(value: object) -> str:
    """What a tool returned, for a model: text as it is, `done` for None, JSON for all else.

    What has no JSON is shown as Python does: once a tool has acted, losing its answer would be worse.
    """
    import msgspec

    if isinstance(value, str):
        return value
    if value is None:
        return "done"
    try:
        return msgspec.json.encode(value, enc_hook=_any).decode()
    except Exception:
        return str(value)


def _any(value: Any) -> Any:
    return str(value)


def mended(text: str) -> str:
    """Text that can be encoded: halves of surrogate pairs are joined, or replaced where the other half is missing."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


async def fitted(text: str, cap: int, outputs: Path) -> Output:
    """The text, at most `cap` characters of it: of a longer one head and tail, the whole goes into a file.

    A disk without room, or one that hangs, is told in the text: the wait for it is limited. Cancelled, the file is
    there wholly or not at all.
    """
    text = mended(text)
    if len(text) <= cap:
        return Output(text)
    reason = f"the disk did not answer within {KEEP_SECONDS:g} s"
    with trio.move_on_after(KEEP_SECONDS):
        try:
            handle = f"output:{await trio.to_thread.run_sync(_keep, text, outputs, abandon_on_cancel=True)}"
            return Output(shortened(text, cap, f"read_file has the whole text as {handle}"), handle)
        except OSError as error:
            reason = error.strerror or str(error)
    return Output(shortened(text, cap, f"the whole text could not be kept: {reason}"))


def shortened(text: str, cap: int, note: str) -> str:
    """Head and tail of a text and a line between them, together at most `cap` characters."""
    if len(text) <= cap:
        return text
    room = max(0, cap - len(_line(len(text), note)))
    head = cut(text, room - room // 2, -1)
    tail = cut(text, len(text) - room // 2, +1)
    return text[:head] + _line(tail - head, note)[: cap - head - (len(text) - tail)] + text[tail:]


def _line(omitted: int, note: str) -> str:
    return f"\n[... {omitted} characters are left out here; {note} ...]\n"


def cut(text: str, at: int, step: int) -> int:
    """Where to cut a text near `at`, moving by `step`, without cutting what is seen as one character."""
    for place in range(at, at + step * LONGEST_CHARACTER, step):
        if not 0 < place < len(text):
            return min(max(place, 0), len(text))
        if not _joined(text[place - 1], text[place]):
            return place
    return at


def _joined(before: str, after: str) -> bool:
    """Whether two characters in a row are probably seen as one."""
    return (
        unicodedata.category(after) in ("Mn", "Mc", "Me")
        or "\u200d" in (before, after)  # joins emoji
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # the colour of a skin
        or "\U000e0020" <= after <= "\U000e007f"  # flags of regions
        or ("\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff")  # flags of countries
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
        or (before, after) == ("\r", "\n")
    )


def _keep(text: str, outputs: Path) -> str:
    """Write a text under the name that it has by its content; the name. Nobody but us may read it."""
    data = text.encode()
    name = hashlib.sha256(data).hexdigest()[:16]
    target = output_file(outputs, name)
    outputs.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.exists():
        return name
    part = outputs / f".{name}-{os.urandom(4).hex()}"
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    return name


def output_file(outputs: Path, name: str) -> Path:
    """The file of the output with this name."""
    return outputs / f"{name}.txt"
