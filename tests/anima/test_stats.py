"""`anima stats`, as its users run it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.anima.commands import SCRIPTED, anima, write

AGENT = SCRIPTED + '[tools]\nenabled = ["add"]\n[llm.price]\ninput = 1000\noutput = 1000\n'
SCRIPT = """
repeat = true
[[answers]]
when = "^sum"
calls = [{ name = "add", arguments = { a = 1, b = 2 } }, { name = "add", arguments = { a = 1 } }]
[[answers]]
when = "^break"
fail = "BadKey"
[[answers]]
say = "Three."
"""


def worked(folder: Path) -> None:
    """An agent that has answered, used a tool, and failed."""
    write(folder, agent_toml=AGENT, script_toml=SCRIPT)
    for task in ("sum", "hello", "break"):
        anima(folder, "run", "agent.toml", task)


def test_what_an_agent_has_done_is_shown_in_figures(tmp_path: Path) -> None:
    worked(tmp_path)
    shown = anima(tmp_path, "stats", "agent.toml")
    assert shown.returncode == 0, shown.stderr
    first, model, failed, tool = shown.stdout.splitlines()
    assert first.startswith("home/ada: 3 turns (2 end_turn, 1 llm_error), ")
    assert model.startswith("  model: 3 answers, ")
    assert "$" in model
    assert failed == "  could not answer: 1 BadKey"
    assert tool == "  add: 2 calls, 1 failed"


def test_for_programs_it_is_an_object_for_each_agent(tmp_path: Path) -> None:
    worked(tmp_path)
    (line,) = anima(tmp_path, "stats", "agent.toml", "--json").stdout.splitlines()
    found = json.loads(line)
    assert (found["agent"], found["turns"]) == ("home/ada", {"end_turn": 2, "llm_error": 1})
    assert found["tokens"] == found["input_tokens"] + found["output_tokens"]
    assert found["cost"] == found["tokens"] / 1000
    assert found["tools"] == {"add": {"calls": 2, "failed": 1}}
    assert found["tool_calls"] == 1  # the other one was refused, and never run


def test_where_nothing_was_done_there_is_nothing_to_show_and_no_journal_is_made(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=AGENT, script_toml=SCRIPT)
    shown = anima(tmp_path, "stats", "agent.toml")
    assert (shown.returncode, shown.stdout) == (0, "")
    assert not (tmp_path / ".anima").exists()


def test_a_record_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    worked(tmp_path)
    with closing(sqlite3.connect(tmp_path / ".anima" / "ada.journal")) as connection, connection:
        connection.execute("UPDATE records SET body = 'broken' WHERE turn = 2")
    assert "3 turns" in anima(tmp_path, "stats", "agent.toml").stdout
