"""`anima chat` and `anima init`, as their users run them."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
from pathlib import Path

import pytest

from anima.cli._background import HEARD_SECONDS
from tests.anima.commands import ANIMA, PATIENCE, SCRIPTED, anima, environment, started, write

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


GATE = '''
import time
from pathlib import Path
import trio
from anima_tools import Effect, tool

@tool(effect=Effect.PURE)
async def gate() -> str:
    """Wait at the gate: who reads `reached` knows that somebody does."""
    if Path("open").exists():
        return "through"
    await trio.to_thread.run_sync(Path("reached").write_text, "here")
    await trio.sleep_forever()

@tool(effect=Effect.PURE)
async def block() -> str:
    """Hold up everything."""
    Path("reached").write_text("here")
    time.sleep(600)
'''


def at_the_gate(folder: Path, tool: str) -> None:
    """An agent that calls this tool when it is told to go."""
    agent = SCRIPTED + f'[tools]\nenabled = ["gates:{tool}"]\n'
    script = f'answers = [{{ when = "^go", calls = [{{ name = "{tool}" }}] }}, {{ say = "It is done." }}]'
    write(folder, agent_toml=agent, script_toml=script)
    (folder / "gates.py").write_text(GATE)
    os.mkfifo(folder / "reached")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_told_to_go_it_parks_what_the_agent_is_doing(tmp_path: Path, number: signal.Signals) -> None:
    at_the_gate(tmp_path, "gate")
    with started(tmp_path, "chat", "agent.toml") as process:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert (tmp_path / "reached").read_text() == "here"
        process.send_signal(number)
        process.wait(PATIENCE)
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 143
    id = re.fullmatch(r"anima: run (\w+) is parked: `anima runs resume agent.toml \1` goes on\n", said)
    assert id is not None, said
    (tmp_path / "open").touch()
    assert anima(tmp_path, "runs", "resume", "agent.toml", id[1]).stdout == "It is done.\n"


def test_it_can_be_left_also_while_a_tool_holds_up_everything(tmp_path: Path) -> None:
    at_the_gate(tmp_path, "block")
    with started(tmp_path, "chat", "agent.toml") as process:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
        assert (tmp_path / "reached").read_text() == "here"
        while process.poll() is None:  # as somebody does who wants to get out
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(HEARD_SECONDS / 2)
        assert process.stderr is not None
        assert "something holds up the agent" in process.stderr.read()
    assert process.returncode == 130


def test_what_cannot_be_looked_at_is_told_and_the_conversation_goes_on(tmp_path: Path) -> None:
    agent = SCRIPTED + '[tools]\nenabled = ["remember"]\n'
    write(tmp_path, agent_toml=agent, script_toml=SCRIPT)
    (tmp_path / ".anima" / "ada.memory").mkdir(parents=True)
    ran = anima(tmp_path, "chat", "agent.toml", stdin="/memory\nhi\n")
    assert (ran.returncode, ran.stdout) == (0, "Hello.\n")
    assert "ada.memory" in ran.stderr
    assert "Traceback" not in ran.stderr


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
