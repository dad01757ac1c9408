"""`anima backup` and `anima restore`, as their users run them."""

from __future__ import annotations

import os
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path

import trio

from anima.cli._restore import put_in_place
from anima.memory import open_memory
from tests.anima.commands import PATIENCE, SCRIPTED, anima, started, write

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
    other.mkdir()
    write(other, agent_toml=AGENT, script_toml=SCRIPT)
    restored = anima(other, "restore", "agent.toml", "../copy.zip")
    assert restored.returncode == 0, restored.stderr
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
            bobs := next(name for name in archive.namelist() if name.startswith("elsewhere/")),
            "office.journal",
        ]
        assert f"{bobs}\t{tmp_path}/bob/it.memory\n" in archive.read("CONTENTS").decode()
    assert (tmp_path / "copy.zip").stat().st_mode & 0o777 == 0o600


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


# Restoring


def backed_up(folder: Path) -> None:
    """An agent that has done something, a copy of that, and what it has done since: killed, with a log left behind."""
    write(folder, agent_toml=AGENT, script_toml=SCRIPT)
    anima(folder, "run", "agent.toml", "Paint the fence.")
    assert anima(folder, "backup", "agent.toml", "copy.zip").returncode == 0
    call = '{ name = "shell", arguments = { command = "echo >here; sleep 60" } }'
    write(folder, script_toml=f'answers = [{{ when = "^wait", calls = [{call}] }}]')
    write(folder, agent_toml=AGENT + '[tools]\nenabled = ["shell"]\n')
    os.mkfifo(folder / "here")
    with started(folder, "run", "agent.toml", "wait") as process:
        (folder / "here").read_text()
        process.kill()
        process.wait(PATIENCE)
    assert (folder / ".anima" / "ada.journal-wal").stat().st_size
    write(folder, agent_toml=AGENT, script_toml=SCRIPT)


def states(folder: Path) -> list[str]:
    return [line.split()[4] for line in anima(folder, "runs", "list", "agent.toml").stdout.splitlines()]


def test_what_is_there_is_put_aside_with_its_log_when_it_is_to_be_replaced(tmp_path: Path) -> None:
    backed_up(tmp_path)
    refused = anima(tmp_path, "restore", "agent.toml", "copy.zip")
    assert refused.returncode == 1
    assert "--replace" in refused.stderr
    assert (tmp_path / ".anima" / "ada.journal-wal").stat().st_size  # what the killed program has left
    assert anima(tmp_path, "restore", "agent.toml", "copy.zip", "--replace").returncode == 0
    assert states(tmp_path) == ["end_turn"]
    assert anima(tmp_path, "run", "agent.toml", "Paint it again.").returncode == 0
    assert anima(tmp_path, "restore", "agent.toml", "copy.zip", "--replace").returncode == 0
    (aside,) = (file for file in (tmp_path / ".anima").glob("ada.journal.replaced-*") if has(file, "open"))
    with closing(sqlite3.connect(aside)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_what_lies_beside_a_file_goes_aside_with_it(tmp_path: Path) -> None:
    """Where the file is damaged its log may stay, and would be played into the one that takes its place."""
    path, copy = tmp_path / "ada.journal", tmp_path / "copy"
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"ada.journal{end}").write_text(f"old{end}")
    for content in ("new", "newer"):
        copy.write_text(content)
        put_in_place(path, copy)
    assert path.read_text() == "newer"
    aside = {file.read_text(): file.name for file in tmp_path.glob("ada.journal.replaced-*")}
    assert aside.keys() == {"old", "old-wal", "old-shm", "new"}
    assert aside["old-wal"] == f"{aside['old']}-wal"


def test_each_memory_comes_back_to_its_own_agent_whoever_has_come_since(tmp_path: Path) -> None:
    tree(tmp_path, "a/it.memory", "b/it.memory")
    assert anima(tmp_path, "memory", "add", "tree.toml", "--agent", "ada", "Ada was here.").returncode == 0
    assert anima(tmp_path, "backup", "tree.toml", "copy.zip").returncode == 0
    text = (tmp_path / "tree.toml").read_text().replace('"bob"]', '"bob", "zoe"]')
    write(tmp_path, tree_toml=text + AGENT_OF_TREE.format("zoe", "0/it.memory"))
    restored = anima(tmp_path, "restore", "tree.toml", "copy.zip", "--replace")
    assert restored.returncode == 0, restored.stderr
    assert "Ada was here." in anima(tmp_path, "memory", "list", "tree.toml", "--agent", "ada").stdout
    for name in ("bob", "zoe"):
        assert "Ada was here." not in anima(tmp_path, "memory", "list", "tree.toml", "--agent", name).stdout


async def test_a_memory_that_somebody_has_open_is_not_replaced(tmp_path: Path) -> None:
    backed_up(tmp_path)
    async with open_memory(tmp_path / ".anima" / "ada.memory") as memories:
        refused = await trio.to_thread.run_sync(anima, tmp_path, "restore", "agent.toml", "copy.zip", "--replace")
        assert refused.returncode == 1
        assert "ada.memory: another program has it open; nothing was done" in refused.stderr
        await memories.of("ada").remember("It is here still.")
    assert "It is here still." in anima(tmp_path, "memory", "list", "agent.toml").stdout
    assert states(tmp_path) == ["end_turn", "open"]


def has(file: Path, state: str) -> bool:
    """Whether a journal has a run in this state."""
    if file.name.endswith(("-wal", "-shm")):
        return False
    with closing(sqlite3.connect(file)) as connection:
        return (state,) in connection.execute("SELECT state FROM turns").fetchall()


def test_while_it_is_used_nothing_is_restored(tmp_path: Path) -> None:
    backed_up(tmp_path)
    with started(tmp_path, "chat", "agent.toml") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("hi\n")
        process.stdin.flush()
        assert process.stdout.readline() == "The fence is green now.\n"
        refused = anima(tmp_path, "restore", "agent.toml", "copy.zip", "--replace")
        assert refused.returncode == 1
        assert f"process {process.pid} (anima chat agent.toml) holds it" in refused.stderr
    assert states(tmp_path) == ["end_turn", "open", "end_turn"]


def test_a_damaged_copy_or_one_of_something_else_is_refused_before_anything_is_done(tmp_path: Path) -> None:
    backed_up(tmp_path)
    (tmp_path / "none.zip").write_bytes(b"this is no archive")
    with zipfile.ZipFile(tmp_path / "damaged.zip", "w") as archive:
        archive.writestr("ada.journal", b"this is no database" * 1000)
    content = bytearray((tmp_path / "copy.zip").read_bytes())
    content[1000:1100] = b"x" * 100
    (tmp_path / "flipped.zip").write_bytes(content)
    with zipfile.ZipFile(tmp_path / "strange.zip", "w") as archive:
        archive.writestr("../../bob.journal", b"")
    for name, said in (
        ("none", "not a zip"),
        ("flipped", "cannot be restored"),
        ("damaged", "no SQLite database"),
        ("strange", "has no place for"),
        ("no", "No such"),
    ):
        refused = anima(tmp_path, "restore", "agent.toml", f"{name}.zip", "--replace")
        assert refused.returncode == 1
        assert said in refused.stderr
        assert "Traceback" not in refused.stderr
    assert states(tmp_path) == ["end_turn", "open"]
    assert not list((tmp_path / ".anima").glob("*restore*"))
