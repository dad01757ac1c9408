"""Where the time of a row goes: a sampling profile, which costs next to nothing and so distorts nothing.

    python tests/benchmarks/actors/sample.py ROW [COUNT]

Every 0.5 ms of CPU the running function and its callers are noted. Prints, for the functions of our own packages and
for those of Trio, the share of all samples in which they were running or waiting for what they had called.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.benchmarks.actors import by_anima

SECONDS = 0.0005
SHOWN = 40


class Samples:
    """How often each function was on the stack."""

    def __init__(self) -> None:
        self.total = 0
        self.seen: Counter[str] = Counter()

    def take(self, _: int, frame: FrameType | None) -> None:
        self.total += 1
        names = set[str]()
        while frame is not None:
            code = frame.f_code
            names.add(f"{Path(code.co_filename).parent.name}/{Path(code.co_filename).name}: {code.co_qualname}")
            frame = frame.f_back
        self.seen.update(names)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("row")
    parser.add_argument("count", type=int, nargs="?", default=20_000)
    arguments = parser.parse_args()
    row = getattr(by_anima, arguments.row)
    row(arguments.count // 10)
    samples = Samples()
    signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, SECONDS)
    cost = row(arguments.count)
    signal.setitimer(signal.ITIMER_PROF, 0)
    print(f"{arguments.row}: {cost:.1f}, {samples.total} samples")
    for name, count in samples.seen.most_common(SHOWN):
        print(f"{count / samples.total:6.1%}  {name}")


if __name__ == "__main__":
    main()
