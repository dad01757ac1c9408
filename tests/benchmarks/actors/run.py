"""Measure actors: those of this library, by hand on bare Trio, in Pykka, in autogen-core, and in Erlang.

    python tests/benchmarks/actors/run.py [--runs N] [--only ROW ...] [--json | --markdown]

Numbers are CPU microseconds per operation (bytes for idle_bytes): the median of the runs, each in a fresh process on
one processor, with the candidates taking turns. Ratios are medians of the ratios within one run. What a row does is in
`workloads.py`, what a candidate is in `candidates.py`; a candidate that is not installed is left out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.benchmarks.actors import candidates
from tests.benchmarks.actors.candidates import Candidate
from tests.benchmarks.actors.goals import verdicts
from tests.benchmarks.actors.results import Results
from tests.benchmarks.actors.tables import explanation, tables
from tests.benchmarks.actors.workloads import ROWS
from tests.benchmarks.bench import Progress, machine


def measure_apart(candidate: str, row: str) -> float:
    """One measurement in a process of its own."""
    command = [sys.executable, __file__, "--measure", candidate, row]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(done.stdout)
    return figures[row]


def run_all(rows: Sequence[str], competing: Sequence[Candidate], runs: int) -> Results:
    """Let the candidates take turns in each row; who is first changes from run to run."""
    results = Results(rows, [candidate.name for candidate in competing])
    turns = {row: [candidate.name for candidate in competing if candidate.has(row)] for row in rows}
    progress = Progress(runs * sum(map(len, turns.values())))
    try:
        for run in range(runs):
            for row, names in turns.items():
                first = run % max(1, len(names))
                for name in [*names[first:], *names[:first]]:
                    progress.step(f"{row} {name}, run {run + 1} of {runs}")
                    results.add(row, name, measure_apart(name, row))
    finally:
        progress.clear()
    return results


def print_tables(results: Results, about: dict[str, str], *, markdown: bool) -> None:
    print(", ".join(f"{what} {value}" for what, value in about.items()))
    for title, table in [("Rows", explanation(results.rows)), *tables(results)]:
        print(f"\n{title}\n")
        print(table.as_markdown() if markdown else table.as_text())


def as_data(results: Results, about: dict[str, str]) -> dict[str, object]:
    goals = [verdict.as_data() for verdict in verdicts(results)]
    return {"about": about, "rows": results.as_data(), "goals": goals}


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=_positive, default=7, metavar="N", help="measurements of each candidate (7)")
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help="these rows only")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all results as one JSON object")
    form.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    form.add_argument(
        "--measure", nargs=2, metavar=("CANDIDATE", "ROW"), help="measure once, in this process, and print JSON"
    )
    return parser.parse_args()


def main() -> None:
    given = _arguments()
    if given.measure:
        name, row = given.measure
        print(json.dumps({row: candidates.load(name).measure(row)}))
        return
    competing = candidates.available()
    versions = ", ".join(candidate.version for candidate in competing if candidate.version)
    about = {"runs": str(given.runs), **machine(), "against": versions or "bare Trio"}
    try:
        results = run_all([row for row in ROWS if row in given.only], competing, given.runs)
    except subprocess.CalledProcessError as error:
        sys.exit(f"run.py: {' '.join(map(str, error.cmd[1:]))} failed; what it wrote is above")
    if given.json:
        print(json.dumps(as_data(results, about), indent=2))
    else:
        print_tables(results, about, markdown=given.markdown)


if __name__ == "__main__":
    main()
