"""What was measured, and the tables of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import median

import attrs

from tests.benchmarks.actors.tables import NOTHING, Table
from tests.benchmarks.agents.candidates import BARE
from tests.benchmarks.agents.workloads import DERIVED, ROWS, Figures

MISSING = "not installed"


@attrs.frozen
class Measurement:
    """One row, once: the figures of the client, and what the server has used meanwhile, in µs of CPU a turn."""

    figures: Figures
    server: float


class Results:
    """The measurements by row and candidate. A run measures each once, so that those of one run can be compared."""

    def __init__(self, rows: Sequence[str], candidates: Sequence[str], missing: Sequence[str]) -> None:
        self.rows = rows
        self.candidates = candidates
        self.missing = missing
        self._found: dict[tuple[str, str], list[Measurement]] = {}

    def add(self, row: str, candidate: str, measurement: Measurement) -> None:
        self._found.setdefault((row, candidate), []).append(measurement)

    def all_rows(self) -> list[str]:
        """Those that were measured, and those that follow from them."""
        return [*self.rows, *(name for name, (row, less, _, _) in DERIVED.items() if {row, less} <= set(self.rows))]

    def cpu(self, row: str, candidate: str) -> list[float]:
        """The CPU µs of each run: of a turn, or, of a row that follows by difference, of its operation."""
        if row in DERIVED:
            whole, less, operations, _ = DERIVED[row]
            pairs = zip(self.cpu(whole, candidate), self.cpu(less, candidate), strict=True)
            return [(more - few) / operations for more, few in pairs]
        return [one.figures.cpu for one in self._found[row, candidate]]

    def of(self, row: str, candidate: str, figure: Callable[[Measurement], float]) -> float:
        """The median of a figure over the runs."""
        return median(figure(one) for one in self._found[row, candidate])

    def ratio(self, row: str, candidate: str, to: str = BARE) -> float:
        """How many times the CPU of another candidate: the median of the ratios, run by run."""
        return median(a / b for a, b in zip(self.cpu(row, candidate), self.cpu(row, to), strict=True))

    def as_data(self) -> dict[str, object]:
        """All measurements, with the medians and ratios of the tables."""
        return {
            row: {
                name: {
                    "cpu": self.cpu(row, name),
                    "median": median(self.cpu(row, name)),
                    "ratio": self.ratio(row, name) if BARE in self.candidates else None,
                    "runs": [attrs.asdict(one) for one in self._found.get((row, name), ())],
                }
                for name in self.candidates
            }
            for row in self.all_rows()
        }


def operations(rows: Sequence[str]) -> Table:
    """What one operation of each row is."""
    texts = {name: row.operation for name, row in ROWS.items()} | {name: one[3] for name, one in DERIVED.items()}
    return Table(["row", "one operation"], [[row, texts[row]] for row in rows], texts=2)


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    """The titles and tables of what was measured: a line for each candidate."""
    rows = results.all_rows()
    yield "CPU µs of the client for one operation", _by_row(results, lambda row, name: _costs(results, row, name))
    if BARE in results.candidates:
        yield (
            f"Times the CPU of {BARE}, the loop by hand",
            _by_row(results, lambda row, name: f"{results.ratio(row, name):.2f}"),
        )
        extra = [name for name in results.candidates if name != BARE]
        if extra:
            yield f"CPU µs above {BARE}", _by_row(results, lambda row, name: _above(results, row, name))
    many = [row for row in rows if row in ROWS and ROWS[row].agents > 1]
    for row in many:
        yield f"{row}: all turns of all agents, and memory", _together(results, row)


def _costs(results: Results, row: str, name: str) -> str:
    return f"{median(results.cpu(row, name)):,.0f}"


def _above(results: Results, row: str, name: str) -> str:
    pairs = zip(results.cpu(row, name), results.cpu(row, BARE), strict=True)
    return f"{median(own - bare for own, bare in pairs):,.0f}"


def _by_row(results: Results, cell: Callable[[str, str], str]) -> Table:
    rows = results.all_rows()
    lines = [[name, *(cell(row, name) for row in rows)] for name in results.candidates]
    return Table(["", *rows], [*lines, *([name, *[MISSING] * len(rows)] for name in results.missing)])


def _together(results: Results, row: str) -> Table:
    turns = ROWS[row].all_turns

    def line(name: str) -> list[str]:
        def of(figure: Callable[[Measurement], float]) -> float:
            return results.of(row, name, figure)

        return [
            name,
            f"{of(lambda one: one.figures.wall) * turns / 1e6:.2f}",
            f"{of(lambda one: one.figures.cpu) * turns / 1e6:.2f}",
            f"{of(lambda one: one.server) * turns / 1e6:.2f}",
            f"{of(lambda one: one.figures.memory):.0f}",
            f"{of(lambda one: one.figures.memory_an_agent) * 1e3:.0f}",
        ]

    heads = ["", "wall s", "client CPU s", "server CPU s", "peak MB", "KB an agent"]
    missing = [[name, *[NOTHING] * 4, MISSING] for name in results.missing]
    return Table(heads, [*map(line, results.candidates), *missing])
