"""Measure supervision against the same work written by hand on bare Trio, interleaved in one run.

    python tests/benchmarks/bench.py [--runs N] [--only NAME ...] [--json]

Numbers are CPU microseconds per operation (each program's docstring says what one operation is): the median of the
runs, each in a fresh process, with the candidates taking turns. Ratios are medians of the ratios within one run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

import attrs


@attrs.frozen
class Workload:
    """A program of this folder with its arguments; of its candidates those in `by_hand` are the baselines."""

    program: str
    arguments: Sequence[str]
    by_hand: Sequence[str]
    library: Sequence[str]

    @property
    def candidates(self) -> Sequence[str]:
        return [*self.by_hand, *self.library]


def _crash(children: int, crashing: int, crashes: int) -> Workload:
    arguments = ["--children", str(children), "--crashing", str(crashing), "--crashes", str(crashes)]
    return Workload("crash.py", arguments, ["channel", "channel_status"], ["library", "library_status"])


def _start_stop(children: int, rounds: int) -> Workload:
    arguments = ["--children", str(children), "--rounds", str(rounds)]
    return Workload("start_stop.py", arguments, ["bare", "bare_status"], ["library", "library_status"])


def _churn(present: int) -> Workload:
    return Workload("churn.py", ["--present", str(present)], ["channel"], ["library"])


#: Workloads by name. Those of one family run interleaved, and its last is compared with its first.
FAMILIES: dict[str, dict[str, Workload]] = {
    "restart": {"restart_one": _crash(1, 1, 5_000), "restart_among_1000": _crash(1_001, 1, 5_000)},
    "start_stop": {"start_stop_100": _start_stop(100, 50), "start_stop_10000": _start_stop(10_000, 1)},
    "crash": {"crash_100": _crash(100, 100, 10_000), "crash_10000": _crash(10_000, 10_000, 10_000)},
    "dynamic_churn": {"dynamic_churn_100": _churn(100), "dynamic_churn_10000": _churn(10_000)},
}

#: The microseconds of one measurement, by what they are spent on.
Costs = dict[str, float]


class Progress:
    """One line on stderr that says how far it is; nothing where stderr is no terminal."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._done = 0
        self._on = sys.stderr.isatty()

    def step(self, what: str) -> None:
        self._done += 1
        self._write(f"[{self._done}/{self._total}] {what}")

    def clear(self) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        if self._on:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


class Results:
    """What was measured in one family: costs by workload, candidate and run."""

    def __init__(self, workloads: dict[str, Workload]) -> None:
        self.workloads = workloads
        self._costs: dict[tuple[str, str], list[Costs]] = {}

    def add(self, name: str, candidate: str, costs: Costs) -> None:
        self._costs.setdefault((name, candidate), []).append(costs)

    def metrics(self, name: str) -> list[str]:
        return list(self._costs[name, self.workloads[name].candidates[0]][0])

    def runs(self, name: str, candidate: str, metric: str) -> list[float]:
        return [costs[metric] for costs in self._costs[name, candidate]]

    def median(self, name: str, candidate: str, metric: str) -> float:
        return median(self.runs(name, candidate, metric))

    def ratio(self, name: str, candidate: str, metric: str, *, to: tuple[str, str]) -> float:
        """The median of the ratios to another workload and candidate, run by run."""
        pairs = zip(self.runs(name, candidate, metric), self.runs(*to, metric), strict=True)
        return median(own / other for own, other in pairs)

    def flatness(self) -> Iterator[tuple[str, str, float]]:
        """Candidate, metric, and how many times as much the last workload costs as the first."""
        first, last = next(iter(self.workloads)), next(reversed(self.workloads))
        if first != last:
            for candidate in self.workloads[first].candidates:
                for metric in self.metrics(first):
                    yield candidate, metric, self.ratio(last, candidate, metric, to=(first, candidate))


def measure(workload: Workload, candidate: str) -> Costs:
    """One measurement in a process of its own."""
    program = Path(__file__).with_name(workload.program)
    command = [sys.executable, str(program), "--candidate", candidate, *workload.arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    costs: Costs = json.loads(done.stdout)
    return costs


def run_family(workloads: dict[str, Workload], runs: int, progress: Progress) -> Results:
    """Let the candidates of all workloads take turns; who is first changes from run to run."""
    results = Results(workloads)
    for run in range(runs):
        for name, workload in workloads.items():
            first = run % len(workload.candidates)
            for candidate in [*workload.candidates[first:], *workload.candidates[:first]]:
                progress.step(f"{name} {candidate}, run {run + 1} of {runs}")
                results.add(name, candidate, measure(workload, candidate))
    return results


def print_table(results: Results, name: str) -> None:
    workload, metrics = results.workloads[name], results.metrics(name)
    print(f"\n{name}")
    heads = [f"{metric} µs" for metric in metrics]
    heads += [f"{metric} / {baseline}" for metric in metrics for baseline in workload.by_hand]
    print(f"  {'candidate':16}" + "".join(f"{head:>24}" for head in heads))
    for candidate in workload.candidates:
        cells = [f"{results.median(name, candidate, metric):.1f}" for metric in metrics]
        cells += [
            f"{results.ratio(name, candidate, metric, to=(name, baseline)):.2f}"
            for metric in metrics
            for baseline in workload.by_hand
        ]
        print(f"  {candidate:16}" + "".join(f"{cell:>24}" for cell in cells))


def print_flatness(results: Results) -> None:
    first, last = next(iter(results.workloads)), next(reversed(results.workloads))
    for number, (candidate, metric, ratio) in enumerate(results.flatness()):
        if number == 0:
            print(f"\n{last} / {first}")
        print(f"  {candidate:16}{metric:>24}{ratio:>24.2f}")


def as_data(results: Results) -> dict[str, object]:
    """All runs, with the medians and ratios of the tables."""
    data: dict[str, object] = {}
    for name, workload in results.workloads.items():
        data[name] = {
            candidate: {
                metric: {
                    "runs": results.runs(name, candidate, metric),
                    "median": results.median(name, candidate, metric),
                    "ratios": {
                        baseline: results.ratio(name, candidate, metric, to=(name, baseline))
                        for baseline in workload.by_hand
                    },
                }
                for metric in results.metrics(name)
            }
            for candidate in workload.candidates
        }
    flatness = [
        {"candidate": candidate, "metric": metric, "ratio": ratio} for candidate, metric, ratio in results.flatness()
    ]
    return {"workloads": data, "flatness": flatness}


def selected(names: Sequence[str] | None) -> list[dict[str, Workload]]:
    """The families, reduced to the workloads and families named; exits when a name is neither."""
    valid = [*FAMILIES, *(name for family in FAMILIES.values() for name in family)]
    unknown = [name for name in names or () if name not in valid]
    if unknown:
        sys.exit(f"bench.py: no workload is called {', '.join(unknown)}; there are: {', '.join(valid)}")
    chosen = [
        {name: workload for name, workload in workloads.items() if not names or family in names or name in names}
        for family, workloads in FAMILIES.items()
    ]
    return [workloads for workloads in chosen if workloads]


def machine() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "trio": version("trio"),
        "cpus": str(os.cpu_count()),
        "load": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=_positive, default=7, metavar="N", help="measurements of each candidate (7)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these workloads or families only")
    parser.add_argument("--json", action="store_true", help="print all results as one JSON object")
    given = parser.parse_args()
    families = selected(given.only)
    about = machine()
    if not given.json:
        print("CPU µs per operation, medians of", given.runs, "runs;", ", ".join(f"{k} {v}" for k, v in about.items()))
    total = given.runs * sum(len(workload.candidates) for family in families for workload in family.values())
    progress = Progress(total)
    everything = []
    try:
        for family in families:
            results = run_family(family, given.runs, progress)
            progress.clear()
            if given.json:
                everything.append(as_data(results))
            else:
                for name in family:
                    print_table(results, name)
                print_flatness(results)
                sys.stdout.flush()
    except subprocess.CalledProcessError as error:
        progress.clear()
        sys.exit(f"bench.py: {' '.join(map(str, error.cmd[1:]))} failed; what it wrote is above")
    if given.json:
        print(json.dumps({"runs": given.runs, "machine": about, "families": everything}, indent=2))


if __name__ == "__main__":
    main()
