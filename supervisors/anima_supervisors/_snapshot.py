"""A picture of a tree at one moment: immutable data, and its drawing in text."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from ._incarnation import State


@attrs.frozen(kw_only=True)
class Snapshot:
    """One supervisor or child. For supervisors `restarts` of `intensity` in the last `period` seconds, and `children`.

    `uptime` is in seconds and None while the child is not up. `last_error` is one line of text.
    """

    path: str
    kind: str
    state: State
    incarnation: int
    uptime: float | None
    last_error: str | None
    restarts: int | None = None
    intensity: int | None = None
    period: float | None = None
    children: tuple[Snapshot, ...] = ()

    @property
    def id(self) -> str:
        return self.path.rpartition("/")[2]

    def walk(self) -> Iterator[Snapshot]:
        """This node and all below it, parents first."""
        yield self
        for child in self.children:
            yield from child.walk()

    def draw(self) -> str:
        """The tree as text, a line for each node."""
        return "\n".join(self._lines("", ""))

    def _lines(self, first: str, rest: str) -> Iterator[str]:
        yield f"{first}{self.id}  {self.summary()}"
        for child in self.children:
            last = child is self.children[-1]
            yield from child._lines(f"{rest}{'└─ ' if last else '├─ '}", f"{rest}{'   ' if last else '│  '}")

    def summary(self) -> str:
        """What the drawing says of this node, behind its name."""
        parts = [self.state.value]
        if self.incarnation:
            parts.append(f"#{self.incarnation}")
        if self.uptime is not None:
            parts.append(f"{self.uptime:.1f} s")
        if self.restarts is not None:
            parts.append(f"restarts {self.restarts}/{self.intensity} in {self.period:g} s")
        if self.last_error is not None:
            parts.append(f"last error: {self.last_error}")
        return "  ".join(parts)
