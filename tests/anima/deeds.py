"""An agent, or a tree of them, with tools that may be the end of their program, and what is left of that."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.anima.commands import SCRIPTED, anima, write

KILLED = -signal.SIGKILL
JOURNAL = Path(".anima", "ada.journal")

#: Each kills its own program where a file says so; what it does to the world stands in `effects`.
TOOLS = '''
import os, signal
from pathlib import Path
import trio
from anima_tools import Effect, Invocation, tool

def die(name):
    times = Path("die", name)
    if times.exists():
        left = int(times.read_text()) - 1
        times.write_text(str(left)) if left else times.unlink()
        os.kill(os.getpid(), signal.SIGKILL)

def act(name, key):
    with open("effects", "a") as file:
        file.write(f"{name} {key}\\n")
    die(name)

@tool(effect=Effect.IDEMPOTENT)
async def work(number: int, invocation: Invocation) -> str:
    """Do a step."""
    act(f"work{number}", invocation.key)
    return f"{number} is done"

@tool
async def send(number: int, invocation: Invocation) -> str:
    """Send a step away."""
    act(f"send{number}", invocation.key)
    return f"{number} is sent"

@tool
async def post(number: int, invocation: Invocation) -> str:
    """Send a step away by post."""
    act(f"post{number}", invocation.key)
    return f"{number} is sent"

@tool(effect=Effect.PURE)
async def gate() -> str:
    """Wait at the gate: who reads `reached` knows that somebody does."""
    if Path("open").exists():
        return "through"
    await trio.to_thread.run_sync(Path("reached").write_text, "here")
    await trio.sleep_forever()

@tool(effect=Effect.PURE)
async def much() -> str:
    """A long text, and never the same."""
    return os.urandom(10_000).hex()
'''


def agent(folder: Path, script: str, *tools: str, more: str = "") -> None:
    """An agent with tools that may be the end of it."""
    (folder / "die").mkdir(exist_ok=True)
    (folder / "effects").touch()
    enabled = json.dumps([f"deeds:{tool}" for tool in tools])
    write(folder, agent_toml=f"{SCRIPTED}[tools]\nenabled = {enabled}\n{more}", script_toml=script)
    (folder / "deeds.py").write_text(TOOLS)


def die(folder: Path, name: str, times: int = 1) -> None:
    (folder / "die" / name).write_text(str(times))


def calls(*found: tuple[str, str, dict[str, Any]], end: str) -> str:
    """A script: when this is read, that tool is called; `end` is when the answer comes."""
    answers = [f"[[answers]]\nwhen = '{when}'\ncalls = [{{ name = '{name}', arguments = {_toml(arguments)} }}]\n"
               for when, name, arguments in found]  # fmt: skip
    return "\n".join([*answers, f"[[answers]]\nwhen = '{end}'\nsay = 'It is done.'\n"])


def _toml(arguments: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in arguments.items()) + " }"


ONE = calls(("^go", "work", {"number": 1}), end="1 is done")


def runs(folder: Path, *arguments: str, config: str = "agent.toml") -> list[dict[str, Any]]:
    ran = anima(folder, *(arguments or ("runs", "list")), config, "--json")
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def records(folder: Path) -> list[dict[str, Any]]:
    """Those of the only run."""
    (run,) = runs(folder)
    shown = anima(folder, "runs", "show", "agent.toml", run["id"], "--json")
    return [json.loads(line) for line in shown.stdout.splitlines()]


def effects(folder: Path) -> list[tuple[str, str]]:
    return [(line.split()[0], line.split()[1]) for line in (folder / "effects").read_text().splitlines()]


def clear(ran: subprocess.CompletedProcess[str], said: str, status: int = 1) -> None:
    """It failed as it should: with a reason that helps, and no traceback."""
    assert ran.returncode == status, ran.stdout + ran.stderr
    assert re.search(said, ran.stderr), ran.stderr
    assert "Traceback" not in ran.stderr


TREE = """
version = 1
root = "office"
[supervisors.office]
children = ["ada", "bob"]
[agents.ada]
config = "agent.toml"
[agents.bob]
config = "bob.toml"
"""
BOB = """
[agent]
name = "bob"
timers = [{ every = "20ms", message = "are you there?" }]
[llm]
provider = "scripted"
file = "bob-script.toml"
[tools]
enabled = ["deeds:work"]
"""
#: Bob does one thing, and no more.
BOBS = calls(("^are you there", "work", {"number": 7}), end=".*")


def tree(folder: Path, script: str, *tools: str, timer: str = "") -> None:
    agent(folder, script, *tools)
    if timer:
        config = (folder / "agent.toml").read_text()
        timers = f'name = "ada"\ntimers = [{{ every = "{timer}", message = "go" }}]'
        (folder / "agent.toml").write_text(config.replace('name = "ada"', timers))
    write(folder, tree_toml=TREE, bob_toml=BOB)
    (folder / "bob-script.toml").write_text(f"repeat = true\n{BOBS}")
