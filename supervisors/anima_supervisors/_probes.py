"""Is a process ready, and is it still alive? A line of output, a TCP port, or any async callable."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable

import attrs
import trio

from ._errors import BadSpec

#: An async callable that returns True, or returns False or raises an Exception: then the answer is no, for now.
Probe = Callable[[], Awaitable[bool]]


@attrs.frozen
class OutputLine:
    """Ready when a line of stdout or stderr matches the regular expression (anywhere in the line)."""

    pattern: str

    def __attrs_post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise BadSpec(f"ready pattern {self.pattern!r} is no regular expression: {error}") from None


@attrs.frozen
class TcpPort:
    """Answers when something accepts connections on the port."""

    port: int
    host: str = "127.0.0.1"

    async def __call__(self) -> bool:
        """Connect and close again. Raises `OSError` where nobody listens; cancelled, no connection is left."""
        stream = await trio.open_tcp_stream(self.host, self.port)
        await stream.aclose()
        return True


@attrs.frozen
class Ready:
    """When a process counts as up: `when` it says yes, asked `every` so many seconds, within `timeout` seconds."""

    when: OutputLine | Probe
    timeout: float = 30.0
    every: float = 0.1

    def __attrs_post_init__(self) -> None:
        _positive("ready timeout", self.timeout)
        _positive("ready every", self.every)


@attrs.frozen
class Alive:
    """A promise to keep: `probe` is asked `every` so many seconds and has `timeout` seconds to say yes.

    After `failures` answers of another kind in a row the process is stopped and counts as failed.
    """

    probe: Probe
    every: float = 5.0
    timeout: float = 2.0
    failures: int = 1

    def __attrs_post_init__(self) -> None:
        _positive("alive every", self.every)
        _positive("alive timeout", self.timeout)
        if self.failures < 1:
            raise BadSpec(f"alive failures must be 1 or more, not {self.failures!r}")


def _positive(what: str, seconds: float) -> None:
    if not 0 < seconds < math.inf:
        raise BadSpec(f"{what} must be a number of seconds above 0, not {seconds!r}")


async def ask(probe: Probe, timeout: float) -> bool:
    """Whether the probe says yes within `timeout` seconds. Never raises an `Exception`."""
    with trio.move_on_after(timeout):
        try:
            return bool(await probe())
        except Exception:
            return False  # refused, unreachable, not yet: the same answer
    return False
