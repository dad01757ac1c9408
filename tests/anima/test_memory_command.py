"""`anima memory`, as its users run it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.anima.commands import SCRIPTED, anima, write

AGENT = SCRIPTED + '[think]\nauto_memory = true\n[tools]\nenabled = ["remember", "recall"]\n'
SCRIPT = """
repeat = true
[[answers]]
when = "^Paint"
say = "The fence is green now."
[[answers]]
when = "fence is green now"
say = "Green: I painted it."
[[answers]]
say = "I do not know."
"""


def test_what_was_done_in_one_program_is_known_in_the_next(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=AGENT, script_toml=SCRIPT)
    assert anima(tmp_path, "run", "agent.toml", "Paint the fence.").stdout == "The fence is green now.\n"
    assert anima(tmp_path, "run", "agent.toml", "Which colour has the fence?").stdout == "Green: I painted it.\n"


def test_a_memory_can_be_added_found_shown_forgotten_and_carried_over(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=AGENT, script_toml=SCRIPT)
    assert anima(tmp_path, "memory", "add", "agent.toml", "The cat is called Tom.", "--key", "cat").returncode == 0
    anima(tmp_path, "memory", "add", "agent.toml", "It rains.")
    assert "user [cat]: The cat is called Tom." in anima(tmp_path, "memory", "list", "agent.toml").stdout
    found = anima(tmp_path, "memory", "search", "agent.toml", "What is the name of the cat?").stdout
    assert "Tom" in found.splitlines()[0]
    assert anima(tmp_path, "memory", "show", "agent.toml", "1").stdout == "The cat is called Tom.\n"
    exported = anima(tmp_path, "memory", "export", "agent.toml").stdout
    assert anima(tmp_path, "memory", "forget", "agent.toml", "cat").returncode == 0
    assert anima(tmp_path, "memory", "forget", "agent.toml", "cat").returncode == 1
    assert anima(tmp_path, "memory", "import", "agent.toml", stdin=exported).returncode == 0
    assert "Tom" in anima(tmp_path, "memory", "list", "agent.toml").stdout


def test_what_one_run_has_written_can_be_taken_back(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=AGENT, script_toml=SCRIPT)
    anima(tmp_path, "run", "agent.toml", "Paint the fence.")
    run = anima(tmp_path, "runs", "list", "agent.toml").stdout.split()[0]
    assert anima(tmp_path, "memory", "undo", "agent.toml", run).returncode == 0
    assert anima(tmp_path, "memory", "list", "agent.toml").stdout == ""


def test_an_agent_without_a_lasting_memory_is_told_how_to_get_one(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=SCRIPTED, script_toml=SCRIPT)
    ran = anima(tmp_path, "memory", "list", "agent.toml")
    assert ran.returncode == 1
    assert "think.auto_memory" in ran.stderr


MISTAKES = {
    "bytes that are no text": (b'{"text": "caf\xe9"}', "not a text in UTF-8, at byte 13"),
    "a time that no zone saves": (b'{"text": "x", "at": "9999-12-31T23:59:59-14:00"}', "line 1: .*no year"),
    "a bottomless line": (b"[" * 100_000, "line 1 is no JSON"),
    "a line that is none": (b'{"text": "x"}\n{"text": ', "line 2 is no JSON"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_what_cannot_be_imported_is_told_with_its_place_and_nothing_is_remembered(tmp_path: Path, name: str) -> None:
    content, said = MISTAKES[name]
    write(tmp_path, agent_toml=AGENT, script_toml=SCRIPT)
    (tmp_path / "lines").write_bytes(content)
    ran = anima(tmp_path, "memory", "import", "agent.toml", "lines")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert re.fullmatch(f"anima: .*{said}.*\n", ran.stderr), ran.stderr
    assert anima(tmp_path, "memory", "list", "agent.toml").stdout == ""


def test_what_is_imported_twice_is_remembered_once(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=AGENT, script_toml=SCRIPT)
    for _ in range(2):
        anima(tmp_path, "memory", "import", "agent.toml", stdin='{"text": "It rains."}\n')
    assert "remembered 1 times" in anima(tmp_path, "memory", "show", "agent.toml", "1").stderr


def test_chat_shows_what_it_remembers_and_what_it_has_done(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=AGENT, script_toml=SCRIPT)
    ran = anima(tmp_path, "chat", "agent.toml", stdin="Paint the fence.\n/memory\n/memory fence\n/runs\n")
    assert ran.stdout.count("The fence is green now.") == 3
    assert "end_turn" in ran.stdout
