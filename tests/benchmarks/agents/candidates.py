"""The candidates: each file `by_NAME.py` of this folder is one.

It has a function `run(url, row, warm_up) -> Figures`, which does a row of `workloads.py` against the server at `url`,
and, where it is somebody else's, a `version()`. What is not installed here it imports at its top, as the file is loaded
only where it is used; it counts as not installed when that raises `ModuleNotFoundError`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

from tests.benchmarks.agents.workloads import Figures, Row

#: In the order in which they are shown; the first is what the others are compared with.
NAMES = ("httpx", "httpx_asyncio", "anima_quiet", "anima", "pydantic_ai", "openai_agents")
BARE, OURS = "httpx", "anima"

Run = Callable[[str, Row, int], Figures]


def load(name: str) -> ModuleType | None:
    """The module of a candidate; None where it is not installed."""
    try:
        return importlib.import_module(f"{__package__}.by_{name}")
    except ModuleNotFoundError:
        return None


def version(module: ModuleType) -> str:
    """What is measured, for the head of the table; empty where that is in this repository."""
    told: Callable[[], str] = getattr(module, "version", str)
    return told()
