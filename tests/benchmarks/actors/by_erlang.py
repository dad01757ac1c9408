"""Erlang: actors are gen_servers in a virtual machine of one scheduler; `by_erlang.erl` beside this does the work.

The virtual machine tells its own CPU time, in milliseconds, so that it does each workload many times over.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.benchmarks.actors.workloads import RING, SIBLINGS, SUBSCRIBERS, Manner

if shutil.which("escript") is None:
    raise ModuleNotFoundError("there is no command `escript`; Debian has it in erlang-base", name="escript")

MANNER = Manner(warm_up=False)

#: Restarts that one supervisor sees. OTP 25's goes through all those of the last second at each, which is not meant for
#: thousands: 3,000 under one supervisor make each three times as expensive, and that is not what is compared here.
RESTARTS_OF_ONE = 300


def version() -> str:
    return _escript("version")


def tell(count: int) -> float:
    """With `cast`; nothing holds the producer back."""
    return _measured("tell", count, rounds=10)


def ask(count: int) -> float:
    """With `call`."""
    return _measured("ask", count, rounds=10)


def ring(count: int) -> float:
    """With `cast`; the token is a number that falls by one with each hop."""
    return _measured("ring", count, size=RING, rounds=5)


def spawn_stop(count: int) -> float:
    """With `gen_server:start` and `gen_server:stop`, which wait until it is up and until it is gone."""
    return _measured("spawn_stop", count, rounds=50)


def idle_bytes(count: int) -> float:
    """By the memory that the virtual machine says its processes have."""
    return _measured("idle_bytes", count)


def restart(count: int) -> float:
    """Under a `supervisor`, one_for_one; reports of crashes are not logged."""
    return _restart(count, 0)


def restart_among_1000(count: int) -> float:
    """The siblings are children of the same supervisor."""
    return _restart(count, SIBLINGS)


def _restart(count: int, siblings: int) -> float:
    rounds = 5 * count // RESTARTS_OF_ONE
    return _measured("restart", RESTARTS_OF_ONE, size=siblings, rounds=rounds)


def publish_100(count: int) -> float:
    """With `cast` to one after the other."""
    return _measured("publish", count, size=SUBSCRIBERS, rounds=10)


def _measured(row: str, count: int, *, size: int = 0, rounds: int = 1) -> float:
    return float(_escript(row, str(count), str(size), str(rounds)))


def _escript(*arguments: str) -> str:
    program = Path(__file__).with_suffix(".erl")
    done = subprocess.run(["escript", str(program), *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.strip()
