"""`anima chat` and `anima init`, as their users run them."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
from pathlib import Path

from tests.anima.commands import ANIMA, PATIENCE, SCRIPTED, anima, environment, write

SCRIPT = """
repeat = true
[[answers]]
when = "who"
say = "You are Ada."
[[answers]]
when = "wait"
say = "One moment"
calls = [{ name = "shell", arguments = { command = "sleep 600" } }]
[[answers]]
say = "Hello."
"""


def test_lines_are_answered_one_by_one_in_one_conversation(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=SCRIPTED, script_toml=SCRIPT)
    ran = anima(tmp_path, "chat", "agent.toml", stdin="I am Ada\nwho am I?\n")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "Hello.\nYou are Ada.\n", "")


def test_commands_begin_with_a_slash(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=SCRIPTED + '[tools]\nenabled = ["add", "ask_agent"]\n', script_toml=SCRIPT)
    ran = anima(tmp_path, "chat", "agent.toml", stdin="/tools\n/help\n/nothing\n/quit\nnever answered\n")
    assert "add(a, b) pure: " in ran.stdout
    assert "ask_agent(agent, task) idempotent: " in ran.stdout
    assert "/quit" in ran.stdout
    assert "there is no /nothing" in ran.stderr
    assert "Hello." not in ran.stdout


def test_an_error_is_told_and_the_conversation_goes_on(tmp_path: Path) -> None:
    script = SCRIPT + '[[answers]]\nwhen = "break"\nfail = "BadKey"\n'
    write(
        tmp_path, agent_toml=SCRIPTED, script_toml=script.replace("[[answers]]\nsay", '[[answers]]\nwhen = "^hi"\nsay')
    )
    ran = anima(tmp_path, "chat", "agent.toml", stdin="break\nhi\n")
    assert (ran.returncode, ran.stdout) == (0, "Hello.\n")
    assert "llm_error" in ran.stderr


class Screen:
    """What comes from a terminal."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._seen = ""

    def wait_for(self, word: str) -> None:
        """Read until this word has come, after all that was waited for before."""
        while word not in self._seen:
            ready, _, _ = select.select([self._fd], [], [], PATIENCE)
            assert ready, f"{word!r} did not come; there is: {self._seen!r}"
            self._seen += os.read(self._fd, 4096).decode(errors="replace")
        self._seen = self._seen.partition(word)[2]


def test_ctrl_c_interrupts_the_answer_and_not_the_program(tmp_path: Path) -> None:
    write(tmp_path, agent_toml=SCRIPTED + '[tools]\nenabled = ["shell"]\n', script_toml=SCRIPT)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [ANIMA, "chat", "agent.toml"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment(TERM="dumb"),
        start_new_session=True,
    )
    try:
        os.close(theirs)
        screen = Screen(ours)
        screen.wait_for("> ")
        os.write(ours, b"wait\n")
        screen.wait_for("running shell")
        process.send_signal(signal.SIGINT)
        screen.wait_for("cancelled")
        screen.wait_for("> ")
        os.write(ours, b"who am I?\n")
        screen.wait_for("You are Ada.")
        os.write(ours, b"/quit\n")
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    history = tmp_path / ".anima" / "chat_history"
    assert history.read_text().splitlines() == ["wait", "who am I?", "/quit"]
    assert history.stat().st_mode & 0o777 == 0o600


# init


def test_a_new_project_runs_at_once_alone_and_as_a_tree(tmp_path: Path) -> None:
    made = anima(tmp_path, "init", "project")
    assert made.returncode == 0
    project = tmp_path / "project"
    words = len((project / "persona.md").read_text().split())
    ran = anima(project, "run", "agent.toml", "How many words are in persona.md?")
    assert (ran.returncode, ran.stdout) == (0, f"Let me count.\npersona.md has {words} words.\n"), ran.stderr
    ran = anima(project, "run", "tree.toml", "--agent", "editor", "Is the persona short enough?")
    assert (ran.returncode, ran.stdout) == (0, f"Yes: {words} words are short enough.\n"), ran.stderr
    for name in ("agent.toml", "reviewer.toml", "tree.toml"):
        assert anima(project, "config", "check", name).returncode == 0


def test_init_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text("mine")
    made = anima(tmp_path, "init", ".")
    assert made.returncode == 1
    assert "tools.py" in made.stderr
    assert os.listdir(tmp_path) == ["tools.py"]
