"""JSON that others made: read without trust."""

from __future__ import annotations

import json
from typing import Any


def as_object(value: object) -> dict[str, Any]:
    """An object; the empty one for anything else."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """A list; the empty one for anything else."""
    return value if isinstance(value, list) else []


def as_text(value: object) -> str:
    """A text; the empty one for anything else."""
    return value if isinstance(value, str) else ""


def as_count(value: object) -> int:
    """A number of things; 0 for anything else."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def object_of(arguments: str) -> dict[str, Any]:
    """The arguments of a call as an object: what a model wrote that is none is kept under a key that says so.

    Servers refuse a conversation with a call whose arguments are no object, and the model has to see what it wrote.
    """
    if not arguments.strip():
        return {}
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {"INVALID_JSON": arguments}


def object_text(arguments: str) -> str:
    """The same as text; as the model wrote it where it is an object."""
    value = object_of(arguments)
    if not value or "INVALID_JSON" in value:
        return json.dumps(value, ensure_ascii=False)
    return arguments
