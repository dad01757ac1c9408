"""Measure agents: those of this library, a loop over httpx by hand, pydantic-ai and openai-agents.

    python tests/benchmarks/agents/run.py [--runs N] [--only ROW ...] [--candidates NAME ...] [--json | --markdown]

All ask the same scripted server, which runs in a process of its own. Numbers are CPU microseconds of the client's
process for one operation: the median of the runs, each in a fresh process with a fresh server, with the candidates
taking turns. Ratios are medians of the ratios within one run. What a row does is in `workloads.py`, what a candidate is
in `candidates.py`. At the end the commands: `anima --help`, and from the start to the answer of `anima run`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.benchmarks.actors.tables import Table
from tests.benchmarks.agents import candidates
from tests.benchmarks.agents.commands import CommandResults
from tests.benchmarks.agents.results import Measurement, Results, operations, tables
from tests.benchmarks.agents.serving import serving, tie_client
from tests.benchmarks.agents.workloads import DERIVED, ROWS, Figures
from tests.benchmarks.bench import Progress, machine

#: Turns that come before those that are measured, at least.
WARM_UP = 3


def measure_here(candidate: str, row: str, url: str) -> Figures:
    """One measurement in this process."""
    module = candidates.load(candidate)
    if module is None:
        sys.exit(f"run.py: {candidate} is not installed")
    tie_client()
    run: candidates.Run = module.run
    return run(url, ROWS[row], max(WARM_UP, ROWS[row].turns // 10))


def measure_apart(candidate: str, row: str) -> Measurement:
    """One measurement in a process of its own, against a server of its own."""
    with serving() as server:
        before = server.cpu()
        command = [sys.executable, __file__, "--measure", candidate, row, server.url]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        used = (server.cpu() - before) / ROWS[row].all_turns * 1e6
    return Measurement(Figures(**json.loads(done.stdout)), used)


def run_all(rows: Sequence[str], names: Sequence[str], missing: Sequence[str], runs: int) -> Results:
    """Let the candidates take turns in each row; who is first changes from run to run."""
    results = Results(rows, names, missing)
    progress = Progress(runs * len(rows) * len(names))
    try:
        for run in range(runs):
            first = run % len(names)
            for row in rows:
                for name in [*names[first:], *names[:first]]:
                    progress.step(f"{row} {name}, run {run + 1} of {runs}")
                    results.add(row, name, measure_apart(name, row))
    finally:
        progress.clear()
    return results


def run_commands(runs: int) -> CommandResults:
    found = CommandResults()
    for _ in range(runs):
        found.run()
    return found


def print_tables(results: Results, commands: CommandResults, about: dict[str, str], *, markdown: bool) -> None:
    print(", ".join(f"{what} {value}" for what, value in about.items()))
    shown = [("Rows", operations(results.all_rows())), *tables(results)]
    shown.append(("Commands: milliseconds", Table(["", "CPU ms", "wall ms", "goal"], commands.rows())))
    for title, table in shown:
        print(f"\n{title}\n")
        print(table.as_markdown() if markdown else table.as_text())


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=_positive, default=5, metavar="N", help="measurements of each candidate (5)")
    rows = [*ROWS, *DERIVED]
    parser.add_argument("--only", nargs="+", choices=rows, default=rows, metavar="ROW", help="these rows only")
    names = candidates.NAMES
    parser.add_argument(
        "--candidates", nargs="+", choices=names, default=names, metavar="NAME", help="these candidates only"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all results as one JSON object")
    form.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    form.add_argument(
        "--measure",
        nargs=3,
        metavar=("CANDIDATE", "ROW", "URL"),
        help="measure once, in this process, and print JSON",
    )
    return parser.parse_args()


def _rows(wanted: Sequence[str]) -> list[str]:
    """Those that have to be measured."""
    needed = set(wanted) | {row for name in wanted if name in DERIVED for row in DERIVED[name][:2]}
    return [row for row in ROWS if row in needed]


def main() -> None:
    given = _arguments()
    if given.measure:
        print(json.dumps(attrs.asdict(measure_here(*given.measure))))
        return
    modules = {name: candidates.load(name) for name in candidates.NAMES if name in given.candidates}
    missing = [name for name, module in modules.items() if module is None]
    names = [name for name in modules if name not in missing]
    if not names:
        sys.exit(f"run.py: not installed: {', '.join(missing)}")
    versions = [candidates.version(module) for module in modules.values() if module is not None]
    about = {"runs": str(given.runs), **machine(), "against": ", ".join(filter(None, versions)) or "httpx by hand"}
    try:
        results = run_all(_rows(given.only), names, missing, given.runs)
    except subprocess.CalledProcessError as error:
        sys.exit(f"run.py: {' '.join(map(str, error.cmd[1:]))} failed; what it wrote is above")
    commands = run_commands(given.runs)
    if given.json:
        data = {"about": about, "rows": results.as_data(), "missing": missing, "commands": commands.as_data()}
        print(json.dumps(data, indent=2))
    else:
        print_tables(results, commands, about, markdown=given.markdown)


if __name__ == "__main__":
    main()
