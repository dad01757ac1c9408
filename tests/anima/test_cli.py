"""The command `anima` itself, before any of its commands runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from anima import __version__
from anima.cli import COMMANDS

ANIMA = str(Path(sys.executable).with_name("anima"))


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_help_imports_no_trio() -> None:
    program = """
import sys
from anima.cli import main
try:
    main(["--help"])
except SystemExit as end:
    heavy = {"trio", "attrs", "cattrs", "httpx", "rich", "loguru", "anima_supervisors"} & set(sys.modules)
    sys.exit(f"imported {sorted(heavy)}" if heavy else end.code)
"""
    done = run(sys.executable, "-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    assert "supervise" in done.stdout


def test_help_costs_less_than_250_ms_of_cpu() -> None:
    def cost() -> float:
        with subprocess.Popen([ANIMA, "--help"], stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_utime + usage.ru_stime

    # The least of three: what else this machine does can only add to it.
    assert min(cost() for _ in range(3)) < 0.25


def test_help_lists_each_command_with_a_line() -> None:
    done = run(ANIMA, "-h")
    assert done.returncode == 0
    for name, (_, line) in COMMANDS.items():
        assert f"{name:14}{line}" in done.stdout


def test_the_version_is_told() -> None:
    assert run(ANIMA, "-V").stdout == f"anima {__version__}\n"


def test_anima_runs_as_a_module_too() -> None:
    done = run(sys.executable, "-m", "anima", "-V")
    assert (done.returncode, done.stdout) == (0, f"anima {__version__}\n")


def test_an_unknown_command_is_named_with_the_nearest_one() -> None:
    done = run(ANIMA, "supervse", "tree.toml")
    assert done.returncode == 2
    assert "'supervse'" in done.stderr
    assert "'supervise'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["supervise"], ["TREE.TOML"]),
        (["supervise", "tree.toml", "--for", "10"], ["--for", "must be a duration", "'10'"]),
        (["supervise", "tree.toml", "--log-format", "xml"], ["--log-format", "'xml'", "text", "json"]),
        (["supervise", "tree.toml", "--event", "x"], ["--event", "--events"]),
    ],
)
def test_a_wrong_use_of_supervise_ends_with_status_2_and_what_is_wrong(arguments: list[str], words: list[str]) -> None:
    done = run(ANIMA, *arguments)
    assert done.returncode == 2
    for word in words:
        assert word in done.stderr
    assert "Traceback" not in done.stderr
