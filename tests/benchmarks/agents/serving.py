"""The scripted model server, in a process of its own, on another processor than the client where there are two."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import attrs

from tests.benchmarks.agents.workloads import script

PROGRAM = Path(__file__).parents[2] / "servers" / "model_server.py"


def processors() -> tuple[int, int] | None:
    """That of the client and that of the server; None where processes are not tied to any."""
    if sys.platform != "linux":
        return None
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def tie_client() -> None:
    if (given := processors()) is not None:
        os.sched_setaffinity(0, {given[0]})


def _tie_server(id: int) -> None:
    if (given := processors()) is not None:
        os.sched_setaffinity(id, {given[1]})


@attrs.frozen
class Server:
    """A running one."""

    url: str
    id: int

    def cpu(self) -> float:
        """The seconds of CPU that it has used; NaN where that is not told."""
        try:
            fields = Path(f"/proc/{self.id}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return float("nan")
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def serving() -> Iterator[Server]:
    """A server for the block."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.json"
        file.write_text(json.dumps(script()))
        command = [sys.executable, str(PROGRAM), "--script", str(file)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
            try:
                _tie_server(process.pid)
                assert process.stdout is not None
                yield Server(process.stdout.readline().strip(), process.pid)
            finally:
                process.kill()
