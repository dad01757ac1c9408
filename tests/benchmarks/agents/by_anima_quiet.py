"""Our agents with nobody who hears what they do: no listener, no hook for events."""

from __future__ import annotations

from tests.benchmarks.agents.by_anima import run_with, unheard
from tests.benchmarks.agents.workloads import Figures, Row


def run(url: str, row: Row, warm_up: int) -> Figures:
    return run_with(unheard, None, url, row, warm_up)
