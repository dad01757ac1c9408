"""The tables that `run.py` prints, as plain text or as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from tests.benchmarks.actors.goals import verdicts
from tests.benchmarks.actors.results import OURS, Results
from tests.benchmarks.actors.workloads import ROWS

NOTHING = "-"


@attrs.frozen
class Table:
    """Cells with a heading for each column; the first columns are text, the others numbers."""

    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1

    def as_text(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.heads, *self.rows, strict=True)]
        return "\n".join(self._line(cells, widths).rstrip() for cells in (self.heads, *self.rows))

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        left = map(str.ljust, cells[: self.texts], widths)
        right = map(str.rjust, cells[self.texts :], widths[self.texts :])
        return "  ".join([*left, *right])

    def as_markdown(self) -> str:
        rule = ["---"] * self.texts + ["---:"] * (len(self.heads) - self.texts)
        return "\n".join(f"| {' | '.join(cells)} |" for cells in (self.heads, rule, *self.rows))


def tables(results: Results) -> Iterator[tuple[str, Table]]:
    """The titles and tables of what was measured."""
    yield "Cost of one operation: CPU µs, or bytes", _costs(results)
    if OURS in results.candidates:
        yield f"Times the cost of {OURS}; above 1, {OURS} is cheaper", _ratios(results)
    yield "Goals", _goals(results)


def _costs(results: Results) -> Table:
    rows = []
    for row in results.rows:
        cells = (
            _number(results.median(row, candidate)) if results.has(row, candidate) else NOTHING
            for candidate in results.candidates
        )
        rows.append([row, *cells])
    return Table(["row", *results.candidates], rows)


def _ratios(results: Results) -> Table:
    others = [candidate for candidate in results.candidates if candidate != OURS]
    return Table(
        ["row", *others],
        [[row, *(_ratio(results.times_ours(row, other)) for other in others)] for row in results.rows],
    )


def _goals(results: Results) -> Table:
    rows = [
        [verdict.goal.row, str(verdict.goal), _ratio(verdict.measured), str(verdict)] for verdict in verdicts(results)
    ]
    return Table(["row", "goal", "measured", "verdict"], rows, texts=2)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _ratio(value: float | None) -> str:
    return NOTHING if value is None else _number(value)


def explanation(rows: Sequence[str]) -> Table:
    """What one operation of each row is."""
    return Table(["row", "one operation"], [[row, ROWS[row].operation] for row in rows], texts=2)
