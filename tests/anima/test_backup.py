"""`anima backup`, as its users run it."""

from __future__ import annotations

import zipfile
from pathlib import Path

from tests.anima.commands import SCRIPTED, anima, write

AGENT = SCRIPTED + "[think]\nauto_memory = true\n"
SCRIPT = 'repeat = true\nanswers = [{ say = "The fence is green now." }]\n'
AGENT_OF_TREE = """
[agents.{0}.llm]
provider = "scripted"
file = "script.toml"
[agents.{0}.think]
auto_memory = true
[agents.{0}.memory]
path = "{1}"
"""
TREE = 'version = 1\nroot = "office"\n[supervisors.office]\nchildren = ["ada", "bob"]\n'


def test_a_backup_holds_the_journal_and_the_memories_and_overwrites_nothing(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=AGENT, script_toml=SCRIPT)
    assert anima(tmp_path, "backup", "agent.toml", "copy.zip").returncode == 1
    anima(tmp_path, "run", "agent.toml", "Paint the fence.")
    made = anima(tmp_path, "backup", "agent.toml", "copy.zip")
    assert made.returncode == 0, made.stderr
    assert anima(tmp_path, "backup", "agent.toml", "copy.zip").returncode == 1
    other = tmp_path / "other"
    write_to = other / ".anima"
    write_to.mkdir(parents=True)
    write(other, agent_toml=AGENT, script_toml=SCRIPT)
    zipfile.ZipFile(tmp_path / "copy.zip").extractall(write_to)
    assert "end_turn" in anima(other, "runs", "list", "agent.toml").stdout
    assert "green" in anima(other, "memory", "list", "agent.toml").stdout


def tree(folder: Path, ada: str, bob: str) -> None:
    """A tree of two agents that have done something, each with its memory there."""
    text = TREE + AGENT_OF_TREE.format("ada", ada) + AGENT_OF_TREE.format("bob", bob)
    write(folder, tree_toml=text, script_toml=SCRIPT)
    for name in ("ada", "bob"):
        assert anima(folder, "run", "tree.toml", "--agent", name, "Paint it.").returncode == 0


def test_each_file_has_its_place_and_the_contents_say_where_those_outside_of_the_home_belong(tmp_path: Path) -> None:
    tree(tmp_path, ".anima/ada/it.memory", "bob/it.memory")
    made = anima(tmp_path, "backup", "tree.toml", "copy.zip")
    assert (made.returncode, made.stderr) == (0, "copy.zip: 3 of 3 files\n")
    with zipfile.ZipFile(tmp_path / "copy.zip") as archive:
        assert sorted(archive.namelist()) == [
            "CONTENTS",
            "ada/it.memory",
            "elsewhere/2/it.memory",
            "office.journal",
        ]
        assert f"elsewhere/2/it.memory\t{tmp_path}/bob/it.memory\n" in archive.read("CONTENTS").decode()


def test_what_is_damaged_is_named_and_the_rest_is_copied(tmp_path: Path) -> None:
    tree(tmp_path, "ada.memory", "bob.memory")
    (tmp_path / "ada.memory").write_bytes(b"this is no database" * 1000)
    made = anima(tmp_path, "backup", "tree.toml", "copy.zip")
    assert made.returncode == 1
    assert "not copied: " in made.stderr
    assert "ada.memory" in made.stderr
    assert "Traceback" not in made.stderr
    with zipfile.ZipFile(tmp_path / "copy.zip") as archive:
        assert [Path(name).name for name in archive.namelist()] == ["office.journal", "bob.memory", "CONTENTS"]


def test_where_nothing_can_be_copied_there_is_no_file(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=AGENT, script_toml=SCRIPT)
    (tmp_path / ".anima").mkdir()
    (tmp_path / ".anima" / "ada.journal").write_bytes(b"this is no database" * 1000)
    made = anima(tmp_path, "backup", "agent.toml", "copy.zip")
    assert made.returncode == 1
    assert "nothing could be copied" in made.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"agent.toml", "script.toml", ".anima"}
    assert "cannot be written" in anima(tmp_path, "backup", "agent.toml", "nowhere/copy.zip").stderr
