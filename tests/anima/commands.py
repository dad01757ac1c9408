"""Commands as their users run them: programs of their own, in a folder of files that a test writes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ANIMA = str(Path(sys.executable).with_name("anima"))
SERVER = str(Path(__file__).parents[1] / "servers" / "model_server.py")
#: How long a test waits before it calls something a failure.
PATIENCE = 20.0

SCRIPTED = """
[agent]
name = "ada"
[llm]
provider = "scripted"
file = "script.toml"
"""


def write(folder: Path, **files: str) -> None:
    """Write files: `agent_toml` is `agent.toml`."""
    for name, text in files.items():
        (folder / name.replace("_toml", ".toml").replace("_json", ".json")).write_text(text, encoding="utf-8")


def environment(**more: str) -> dict[str, str]:
    """Ours, without keys and settings that would change what is tested."""
    plain = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANIMA_", "OPENAI_", "ANTHROPIC_"))
    }
    return {**plain, "PYTHONIOENCODING": "utf-8", **more}


def anima(
    folder: Path, *arguments: str, stdin: str = "", env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [ANIMA, *arguments],
        cwd=folder,
        input=stdin,
        env=environment(**(env or {})),
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


@contextlib.contextmanager
def started(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A command that is running; killed at the end of the block if it still is."""
    with subprocess.Popen(
        [ANIMA, *arguments],
        cwd=folder,
        env=environment(PYTHONUNBUFFERED="1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def model_server(folder: Path, script: str) -> Iterator[str]:
    """A server that speaks both wire formats and answers from a script, JSON; its URL."""
    (folder / "server.json").write_text(script, encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, SERVER, "--script", str(folder / "server.json")], stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
