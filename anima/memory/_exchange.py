"""Memories as lines of JSON, for backups, for moving them and for looking at them with other tools."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any

from ._errors import BadMemory
from ._rows import Memory, NewMemory, Source, Trust

_FIELDS = {"text", "key", "source", "trust", "run", "conversation", "speaker", "at", "importance", "scope", "chosen"}
#: What a memory has beside: told when it goes out, not taken when it comes in.
_OWN = {"id", "agent", "count", "last"}


def to_line(memory: Memory) -> str:
    """One line, without its end."""
    return json.dumps(
        {
            "id": memory.id,
            "agent": memory.agent,
            "scope": memory.scope,
            "key": memory.key,
            "text": memory.text,
            "source": memory.source.value,
            "trust": memory.trust.value,
            "run": memory.run,
            "conversation": memory.conversation,
            "speaker": memory.speaker,
            "at": memory.at.isoformat(),
            "importance": memory.importance,
            "chosen": memory.chosen,
            "count": memory.count,
            "last": memory.last.isoformat(),
        },
        ensure_ascii=False,
    )


def from_line(line: str, number: int) -> NewMemory:
    """What a line means: the same line again is no other memory. Raises `BadMemory` with its number."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadMemory(f"line {number} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadMemory(f"line {number} is no object")
    unknown = sorted(found.keys() - _FIELDS - _OWN)
    if unknown:
        raise BadMemory(f"line {number}: there is no field {unknown[0]!r}; a memory has {', '.join(sorted(_FIELDS))}")
    try:
        values = {name: _value(name, value) for name, value in found.items() if name in _FIELDS}
        again = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:32]
        return NewMemory(**values, once=f"line-{again}")
    except (TypeError, ValueError) as error:
        raise BadMemory(f"line {number}: {error}") from None


def _value(name: str, value: Any) -> Any:
    match name:
        case "source":
            return Source(value)
        case "trust":
            return Trust(value)
        case "at":
            return None if value is None else datetime.fromisoformat(value)
        case "importance":
            kind: type | tuple[type, ...] = (int, float)
        case "chosen":
            kind = bool
        case "key":
            kind = (str, type(None))
        case _:
            kind = str
    if not isinstance(value, kind) or (name == "importance" and isinstance(value, bool)):
        raise TypeError(f"{name} cannot be {json.dumps(value)}")
    return value
