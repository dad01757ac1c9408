"""`anima config`, as its users run it; and `--set`, which every command takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.anima.commands import SCRIPTED, anima, write

SCRIPT = 'answers = [{ say = "x" }]\n'
TREE = """
version = 1
root = "office"
home = "state"
[journal]
keep = "30d"
[supervisors.office]
children = ["ada"]
budget = { tokens = 1000 }
[agents.ada.llm]
provider = "scripted"
file = "script.toml"
"""


def test_what_holds_for_a_whole_tree_is_shown_once_and_not_as_a_default_of_its_agents(tmp_path: Path) -> None:
    write(tmp_path, tree_toml=TREE, script_toml=SCRIPT)
    shown = anima(tmp_path, "config", "show", "tree.toml").stdout.splitlines()
    assert [line for line in shown if line.startswith(("home =", "journal."))] == [
        f'home = "{tmp_path}/state"',
        'journal.keep = "30d"',
        'journal.size = "1GiB"',
    ]
    assert "supervisors.office.budget = { tokens = 1000 }" in shown
    agents = json.loads(anima(tmp_path, "config", "show", "tree.toml", "--json").stdout)
    assert agents["office/ada"].keys().isdisjoint({"home", "journal.keep", "journal.size"})


@pytest.mark.parametrize(
    "command",
    [
        ["runs", "list"],
        ["dead-letters", "list"],
        ["memory", "list"],
        ["stats"],
        ["config", "check"],
        ["supervise", "--check"],
    ],
)
def test_commands_take_settings_and_say_what_is_wrong_with_them(tmp_path: Path, command: list[str]) -> None:
    file = "tree.toml" if command[0] == "supervise" else "agent.toml"
    write(tmp_path, tree_toml=TREE, agent_toml=SCRIPTED, script_toml=SCRIPT)
    ran = anima(tmp_path, *command, file, "--set", "hmoe=x")
    assert ran.returncode == 2
    assert "hmoe: unknown key" in ran.stderr
