"""What the actors of this library are to reach against the others, and whether they do."""

from __future__ import annotations

import attrs

from tests.benchmarks.actors.results import OURS, Results


@attrs.frozen
class Faster:
    """Another candidate costs at least so many times as much as ours; below 1, ours may be slower by so much."""

    row: str
    other: str
    times: float

    def __str__(self) -> str:
        return f"as fast as {self.other}" if self.times == 1 else f"{self.times:g} times as fast as {self.other}"

    def measured(self, results: Results) -> float | None:
        return results.times_ours(self.row, self.other)

    def met_by(self, measured: float) -> bool:
        return measured >= self.times


@attrs.frozen
class AtMost:
    """Ours is not more than that."""

    row: str
    limit: float
    unit: str

    def __str__(self) -> str:
        return f"at most {self.limit:,g} {self.unit}"

    def measured(self, results: Results) -> float | None:
        return results.median(self.row, OURS) if results.has(self.row, OURS) else None

    def met_by(self, measured: float) -> bool:
        return measured <= self.limit


@attrs.frozen
class Flat:
    """Ours costs about the same in another, smaller workload."""

    row: str
    smaller: str
    within: float

    def __str__(self) -> str:
        return f"at most {self.within:g} times {self.smaller}"

    def measured(self, results: Results) -> float | None:
        return results.ratio((self.row, OURS), to=(self.smaller, OURS))

    def met_by(self, measured: float) -> bool:
        return measured <= self.within


Goal = Faster | AtMost | Flat

GOALS: tuple[Goal, ...] = (
    Faster("tell", "channels", 5),
    Faster("tell", "pykka", 1.3),
    Faster("tell", "autogen", 80),
    Faster("ask", "channels", 1.3),
    Faster("ask", "pykka", 1.2),
    Faster("ask", "autogen", 12),
    Faster("ring", "channels", 1.3),
    Faster("ring", "pykka", 1.5),
    Faster("ring", "autogen", 15),
    Faster("spawn_stop", "channels", 1),
    Faster("spawn_stop", "pykka", 5),
    AtMost("idle_bytes", 5_000, "bytes"),
    Faster("restart", "channels", 1),
    Faster("restart", "pykka", 3),
    Faster("restart", "erlang", 0.4),
    Flat("restart_among_1000", "restart", 1.3),
    Faster("publish_100", "channels", 2),
    Faster("publish_100", "autogen", 12),
)


@attrs.frozen
class Verdict:
    """A goal with what was measured of it; None where that was not measured."""

    goal: Goal
    measured: float | None

    @property
    def met(self) -> bool | None:
        return None if self.measured is None else self.goal.met_by(self.measured)

    def __str__(self) -> str:
        return {True: "met", False: "not met", None: "not measured"}[self.met]

    def as_data(self) -> dict[str, object]:
        return {"row": self.goal.row, "goal": str(self.goal), "measured": self.measured, "met": self.met}


def verdicts(results: Results) -> list[Verdict]:
    """The goals of the rows that were measured."""
    return [Verdict(goal, goal.measured(results)) for goal in GOALS if goal.row in results.rows]
