"""What the command costs: the CPU of a whole process, from its start to its end, children included."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import attrs

ROOT = Path(__file__).parents[3]
HELLO = Path("configs") / "hello.toml"
#: Milliseconds of CPU that `anima --help` may cost.
HELP_GOAL = 250.0


@attrs.frozen
class Command:
    """A command line, as it is shown and as it is run."""

    shown: str
    line: Sequence[str]
    goal: float | None = None


COMMANDS = (
    Command("python -c pass", ["-c", "pass"]),
    Command("anima --help", ["-m", "anima", "--help"], HELP_GOAL),
    Command(f"anima run {HELLO} hello", ["-m", "anima", "run", str(HELLO), "hello"]),
)


@attrs.frozen
class Cost:
    """CPU and wall time of one run, in milliseconds."""

    cpu: float
    wall: float


class Failed(Exception):
    """The command cannot be measured: it did not end well."""


def measure(command: Command) -> Cost:
    """Run it once. Raises `Failed`."""
    before = os.times()
    done = subprocess.run([sys.executable, *command.line], cwd=ROOT, capture_output=True, text=True, timeout=60)
    after = os.times()
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise Failed(last)
    user = after.children_user - before.children_user
    system = after.children_system - before.children_system
    return Cost((user + system) * 1e3, (after.elapsed - before.elapsed) * 1e3)


class CommandResults:
    """The costs by command; or why one cannot be measured."""

    def __init__(self) -> None:
        self.costs: dict[str, list[Cost]] = {command.shown: [] for command in COMMANDS}
        self.skipped: dict[str, str] = {}

    def run(self) -> None:
        """Each command once more, but for those that cannot be run."""
        for command in COMMANDS:
            if command.shown not in self.skipped:
                try:
                    self.costs[command.shown].append(measure(command))
                except Failed as error:
                    self.skipped[command.shown] = str(error)

    def rows(self) -> list[list[str]]:
        """The cells of the table: command, CPU, wall time, goal and verdict."""
        found = []
        for command in COMMANDS:
            if why := self.skipped.get(command.shown):
                found.append([command.shown, "-", "-", f"skipped: {why}"])
                continue
            cpu = median(cost.cpu for cost in self.costs[command.shown])
            wall = median(cost.wall for cost in self.costs[command.shown])
            verdict = ""
            if command.goal is not None:
                verdict = f"at most {command.goal:.0f} ms: {'met' if cpu <= command.goal else 'not met'}"
            found.append([command.shown, f"{cpu:.0f}", f"{wall:.0f}", verdict])
        return found

    def as_data(self) -> dict[str, object]:
        costs = {shown: [attrs.asdict(cost) for cost in costs] for shown, costs in self.costs.items()}
        return {"costs": costs, "skipped": self.skipped}
