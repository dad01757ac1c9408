"""An event as a record that programs can read: one flat JSON object."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from anima_supervisors import SCHEMA, SCHEMA_VERSION, Error, Event, Killed, Normal, Shutdown, Supervisor, describe


def record(event: Event) -> dict[str, Any]:
    """The event as plain data: `time` in RFC 3339 UTC, `event`, `path`, `incarnation`, `id`, `schema`, and its own."""
    return {
        "time": timestamp(event.time),
        "event": event.name,
        "path": event.path,
        "incarnation": event.incarnation,
        "id": event.id,
        "schema": f"{SCHEMA}/{SCHEMA_VERSION}",
        **{name: _plain(value) for name, value in event.fields().items()},
    }


def timestamp(seconds: float) -> str:
    """UNIX seconds in RFC 3339, UTC, to the microsecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def safe_repr(value: object) -> str:
    """The value's `repr`; in its place a note where that raises: it is the code under supervision that wrote it."""
    try:
        return repr(value)
    except Exception:
        return f"<a {type(value).__name__} that cannot be shown>"


def _plain(value: object) -> Any:
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None  # JSON has no infinity
        case BaseException():
            return describe(value)
        case Normal():
            return {"reason": value.word}
        case Shutdown(info, final):
            return {"reason": value.word, "info": _plain(info), "final": final}
        case Error(exception):
            return {"reason": value.word, "error": describe(exception)}
        case Killed(error):
            return {"reason": value.word, "error": None if error is None else describe(error)}
        case Supervisor():
            return value.path
        case _:
            return safe_repr(value)
