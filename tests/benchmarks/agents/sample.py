"""Where the time of a row goes for our agents: a sampling profile, which costs next to nothing and distorts nothing.

    python tests/benchmarks/agents/sample.py ROW [--candidate NAME] [--turns N] [--by own|all]

Every 0.5 ms of CPU, or as often as the system can, the running function and its callers are noted. Prints the share of
all samples in which functions were running (`own`), or running or waiting for what they had called (`all`).
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

import attrs

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.benchmarks.agents import candidates
from tests.benchmarks.agents.serving import serving, tie_client
from tests.benchmarks.agents.workloads import ROWS

SECONDS = 0.0005
SHOWN = 60


class Samples:
    """How often each function was running, and how often it was on the stack."""

    def __init__(self) -> None:
        self.total = 0
        self.own: Counter[str] = Counter()
        self.all: Counter[str] = Counter()

    def take(self, _: int, frame: FrameType | None) -> None:
        self.total += 1
        names: list[str] = []
        while frame is not None:
            code = frame.f_code
            path = Path(code.co_filename)
            names.append(f"{path.parent.name}/{path.name}:{code.co_firstlineno} {code.co_qualname}")
            frame = frame.f_back
        self.own.update(names[:1])
        self.all.update(set(names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=ROWS)
    parser.add_argument("--candidate", choices=candidates.NAMES, default=candidates.OURS)
    parser.add_argument("--turns", type=int, help="instead of those of the row")
    parser.add_argument("--by", choices=("own", "all"), default="all")
    given = parser.parse_args()
    module = candidates.load(given.candidate)
    if module is None:
        sys.exit(f"sample.py: {given.candidate} is not installed")
    row = ROWS[given.row] if given.turns is None else attrs.evolve(ROWS[given.row], turns=given.turns)
    samples = Samples()
    with serving() as server:
        tie_client()
        signal.signal(signal.SIGPROF, samples.take)
        signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS)
        figures = module.run(server.url, row, 1)
        signal.setitimer(signal.ITIMER_PROF, 0)
    print(f"{given.row}: {figures.cpu:,.0f} µs a turn, {samples.total} samples")
    for name, count in getattr(samples, given.by).most_common(SHOWN):
        print(f"{count / samples.total:6.1%}  {name}")


if __name__ == "__main__":
    main()
