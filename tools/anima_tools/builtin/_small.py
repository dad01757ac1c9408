"""Small tools: the time, a sum, an echo."""

from __future__ import annotations

import datetime
import zoneinfo

from .._calls import Effect
from .._errors import BadArguments, nearest
from .._tool import tool


@tool(effect=Effect.PURE, deadline=5)
def clock(timezone: str = "UTC") -> str:
    """Tell the date, the time and the day of the week.

    Args:
        timezone: a name of the IANA database, such as UTC or Europe/Berlin
    """
    if timezone == "UTC":
        zone: datetime.tzinfo = datetime.UTC
    else:
        try:
            zone = zoneinfo.ZoneInfo(timezone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            hint = nearest(timezone, zoneinfo.available_timezones() or {"UTC"}) or ""
            hint = hint if hint.startswith("did") else "use a name such as UTC or Europe/Berlin"
            raise BadArguments("clock", [f"timezone: there is no {timezone!r}; {hint}"]) from None
    now = datetime.datetime.now(zone)
    return f"{now.isoformat(timespec='seconds')} {now:%A}"


@tool(effect=Effect.PURE, deadline=5)
def add(a: float, b: float) -> str:
    """Add two numbers."""
    total = a + b
    return str(int(total) if abs(total) < 2**53 and total.is_integer() else total)


@tool(effect=Effect.PURE, deadline=5)
def echo(text: str) -> str:
    """Give a text back as it is."""
    return text
