"""What was measured: for each row and candidate one figure of each run, with medians, and ratios within a run."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

#: The candidate that the others are compared with.
OURS = "anima"


class Results:
    """The figures by row and candidate. A run measures each once, so that those of one run can be compared."""

    def __init__(self, rows: Sequence[str], candidates: Sequence[str]) -> None:
        self.rows = rows
        self.candidates = candidates
        self._figures: dict[tuple[str, str], list[float]] = {}

    def add(self, row: str, candidate: str, figure: float) -> None:
        self._figures.setdefault((row, candidate), []).append(figure)

    def has(self, row: str, candidate: str) -> bool:
        return (row, candidate) in self._figures

    def runs(self, row: str, candidate: str) -> list[float]:
        return self._figures[row, candidate]

    def median(self, row: str, candidate: str) -> float:
        return median(self.runs(row, candidate))

    def ratio(self, measured: tuple[str, str], to: tuple[str, str]) -> float | None:
        """The median of the ratios of two rows and candidates, run by run; None when one was not measured."""
        if not (self.has(*measured) and self.has(*to)):
            return None
        return median(own / other for own, other in zip(self.runs(*measured), self.runs(*to), strict=True))

    def times_ours(self, row: str, candidate: str) -> float | None:
        """How many times as much as ours the candidate costs."""
        return self.ratio((row, candidate), to=(row, OURS))

    def as_data(self) -> dict[str, object]:
        """All runs, with the medians and ratios of the tables."""
        return {
            row: {
                candidate: {
                    "runs": self.runs(row, candidate),
                    "median": self.median(row, candidate),
                    "times_ours": self.times_ours(row, candidate),
                }
                for candidate in self.candidates
                if self.has(row, candidate)
            }
            for row in self.rows
        }
