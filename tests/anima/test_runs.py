"""What is left when `anima` ends before its task does, and the commands that show and mend that, as users run them."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.anima.commands import ANIMA, PATIENCE, SCRIPTED, anima, environment, started, write

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


# Killed


def test_ten_steps_killed_five_times_end_with_the_right_answer_and_nothing_doubled(tmp_path: Path) -> None:
    tools = {3: "send", 7: "post"}
    whens = {1: "^go"} | {n: f"^{n - 1} is|call of {tools.get(n - 1, 'none')} took" for n in range(2, 11)}
    steps = [(when, tools.get(n, "work"), {"number": n}) for n, when in whens.items()]
    more = "[think]\nmax_iterations = 30\n"
    agent(tmp_path, calls(*steps, end="^10 is done"), "work", "send", "post", more=more)
    for name in ("work2", "send3", "work4", "post7", "work10"):
        die(tmp_path, name)
    statuses = [anima(tmp_path, "run", "agent.toml", "go").returncode]
    while statuses[-1] == KILLED:
        ran = anima(tmp_path, "run", "agent.toml", "--resume")
        statuses.append(ran.returncode)
    assert (statuses, ran.stdout) == ([KILLED] * 5 + [0], "It is done.\n"), ran.stderr
    done = effects(tmp_path)
    assert len({key for _, key in done}) == len({name for name, _ in done}) == 10
    assert [name for name, _ in done if not name.startswith("work")] == ["send3", "post7"]
    doubts = [one for one in records(tmp_path) if "not known whether" in str(one.get("result"))]
    assert len(doubts) == 2


def test_a_step_in_doubt_is_shown_by_runs_show(tmp_path: Path) -> None:
    agent(tmp_path, calls(("^go", "send", {"number": 1}), end="not known"), "send")
    die(tmp_path, "send1")
    assert anima(tmp_path, "run", "agent.toml", "go").returncode == KILLED
    assert anima(tmp_path, "runs", "resume", "agent.toml").stdout == "It is done.\n"
    shown = anima(tmp_path, "runs", "show", "agent.toml", runs(tmp_path)[0]["id"]).stdout
    assert "send is run (external)" in shown
    assert "send failed: It is not known whether this call of send took effect" in shown
    assert "ended with end_turn: It is done." in shown


@pytest.mark.parametrize(("outcome", "said"), [("done", "took effect. Seen."), ("not-done", "had no effect")])
def test_where_the_agent_says_so_a_person_settles_a_step_in_doubt(tmp_path: Path, outcome: str, said: str) -> None:
    script = calls(("^go", "send", {"number": 1}), end="Somebody has looked")
    agent(tmp_path, script, "send", more='[think]\non_doubt = "ask"\n')
    die(tmp_path, "send1")
    assert anima(tmp_path, "run", "agent.toml", "go").returncode == KILLED
    question = "whether send took effect (step 2); `anima runs settle`"
    assert question in anima(tmp_path, "run", "agent.toml", "--resume").stderr
    assert question in anima(tmp_path, "dead-letters", "list", "agent.toml").stdout
    (run,) = runs(tmp_path)
    assert run["state"] == "aside"
    clear(anima(tmp_path, "runs", "settle", "agent.toml", run["id"], "7", "done"), "not in doubt; there are: 2 .send.")
    settled = anima(tmp_path, "runs", "settle", "agent.toml", run["id"], "2", outcome, "--note", "Seen.")
    assert settled.returncode == 0, settled.stderr
    assert anima(tmp_path, "runs", "resume", "agent.toml", run["id"]).stdout == "It is done.\n"
    assert [name for name, _ in effects(tmp_path)] == ["send1"]
    assert any(said in str(record.get("result")) for record in records(tmp_path))


def test_where_the_agent_says_so_a_step_in_doubt_ends_the_run(tmp_path: Path) -> None:
    more = '[think]\non_doubt = "fail"\n'
    agent(tmp_path, calls(("^go", "send", {"number": 1}), end="not known"), "send", more=more)
    die(tmp_path, "send1")
    anima(tmp_path, "run", "agent.toml", "go")
    clear(anima(tmp_path, "run", "agent.toml", "--resume"), "not known whether send took effect")
    assert runs(tmp_path)[0]["stop_reason"] == "in_doubt"


# runs


def test_a_run_that_was_cut_off_is_listed_as_open_and_can_be_cancelled(tmp_path: Path) -> None:
    agent(tmp_path, ONE, "work")
    die(tmp_path, "work1")
    anima(tmp_path, "run", "agent.toml", "go")
    (run,) = runs(tmp_path)
    assert (run["state"], run["agent"], run["attempts"], run["stop_reason"]) == ("open", "home/ada", 1, None)
    cancelled = anima(tmp_path, "runs", "cancel", "agent.toml", run["id"][:6])
    assert (cancelled.returncode, cancelled.stderr) == (0, f"run {run['id']} is cancelled\n")
    assert runs(tmp_path)[0]["stop_reason"] == "cancelled"
    clear(anima(tmp_path, "runs", "cancel", "agent.toml", run["id"]), "has ended already, with cancelled")
    clear(anima(tmp_path, "run", "agent.toml", "--resume"), "there is no run that was cut off", status=2)
    assert len(effects(tmp_path)) == 1


def test_a_run_that_is_not_there_is_told(tmp_path: Path) -> None:
    agent(tmp_path, ONE, "work")
    assert runs(tmp_path) == []
    for arguments in (["runs", "show"], ["runs", "cancel"], ["dead-letters", "retry"], ["dead-letters", "drop"]):
        clear(anima(tmp_path, *arguments, "agent.toml", "abc"), "no single run has an id that begins with 'abc'")


def test_an_id_that_means_several_is_refused_with_those(tmp_path: Path) -> None:
    agent(tmp_path, ONE, "work")
    for _ in range(2):
        assert anima(tmp_path, "run", "agent.toml", "go").returncode == 0
    clear(anima(tmp_path, "runs", "show", "agent.toml", ""), "there are 2: ")


# dead-letters


def test_a_run_that_kills_its_program_every_time_is_a_dead_letter_that_can_be_tried_again(tmp_path: Path) -> None:
    agent(tmp_path, ONE, "work")
    die(tmp_path, "work1", times=5)
    assert anima(tmp_path, "run", "agent.toml", "go").returncode == KILLED
    for _ in range(4):
        assert anima(tmp_path, "run", "agent.toml", "--resume").returncode == KILLED
    clear(anima(tmp_path, "run", "agent.toml", "--resume"), "put aside: .* 5 times .*anima dead-letters")
    (run,) = runs(tmp_path, "dead-letters", "list")
    assert (run["state"], "5 times" in run["error"]) == ("aside", True)
    assert "work is run (idempotent)" in anima(tmp_path, "dead-letters", "show", "agent.toml", run["id"]).stdout
    clear(anima(tmp_path, "run", "agent.toml", "--resume"), "cut off", status=2)
    assert "open again" in anima(tmp_path, "dead-letters", "retry", "agent.toml", run["id"]).stderr
    assert runs(tmp_path, "dead-letters", "list") == []
    again = anima(tmp_path, "run", "agent.toml", "--resume")
    assert (again.returncode, again.stdout) == (0, "It is done.\n"), again.stderr
    assert len({key for _, key in effects(tmp_path)}) == 1


def test_a_dead_letter_that_is_dropped_is_over_and_what_was_not_put_aside_cannot_be(tmp_path: Path) -> None:
    agent(tmp_path, ONE, "work")
    die(tmp_path, "work1")
    anima(tmp_path, "run", "agent.toml", "go")
    (run,) = runs(tmp_path)
    for what in ("retry", "drop"):
        clear(anima(tmp_path, "dead-letters", what, "agent.toml", run["id"]), "was not put aside: it is open")
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as connection, connection:
        connection.execute("UPDATE turns SET state = 'aside'")
    assert "is dropped" in anima(tmp_path, "dead-letters", "drop", "agent.toml", run["id"]).stderr
    assert [run["stop_reason"] for run in runs(tmp_path)] == ["cancelled"]


# Two at once


def test_a_second_program_is_refused_and_told_who_has_the_journal_while_others_may_look(tmp_path: Path) -> None:
    agent(tmp_path, calls(("^go", "gate", {}), end="through"), "gate")
    os.mkfifo(tmp_path / "reached")
    with started(tmp_path, "run", "agent.toml", "go") as process:
        assert (tmp_path / "reached").read_text() == "here"
        said = rf"process {process.pid} \(anima run agent.toml\) holds it; stop that one first"
        clear(anima(tmp_path, "run", "agent.toml", "go"), said)
        (run,) = runs(tmp_path)
        assert "gate is run (pure)" in anima(tmp_path, "runs", "show", "agent.toml", run["id"]).stdout
        clear(anima(tmp_path, "runs", "cancel", "agent.toml", run["id"]), said)
    (tmp_path / "open").touch()
    assert anima(tmp_path, "run", "agent.toml", "--resume").stdout == "It is done.\n"


# Trees

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


def test_what_a_tree_has_left_is_gone_on_with_when_it_is_started_again(tmp_path: Path) -> None:
    script = calls(("^go", "work", {"number": 1}), ("^1 is", "gate", {}), end="through")
    tree(tmp_path, script, "work", "gate")
    os.mkfifo(tmp_path / "reached")
    with started(tmp_path, "run", "tree.toml", "--agent", "ada", "go") as process:
        assert (tmp_path / "reached").read_text() == "here"
        process.kill()
    with started(tmp_path, "supervise", "tree.toml") as process:
        assert (tmp_path / "reached").read_text() == "here"  # by itself
    assert [name for name, _ in effects(tmp_path)].count("work1") == 1


def test_stopped_in_the_middle_of_a_turn_a_tree_parks_it_ends_in_time_and_goes_on_later(tmp_path: Path) -> None:
    tree(tmp_path, calls(("^go", "gate", {}), end="through"), "gate", timer="1h")
    os.mkfifo(tmp_path / "reached")
    with started(tmp_path, "run", "tree.toml", "--agent", "ada", "go") as process:
        assert (tmp_path / "reached").read_text() == "here"
        process.kill()
    for _ in range(2):
        with started(tmp_path, "supervise", "tree.toml") as process:
            assert (tmp_path / "reached").read_text() == "here"
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=4)  # its agents have ten seconds
            assert process.returncode == 0
        mine = [run for run in runs(tmp_path, config="tree.toml") if run["agent"] == "office/ada"]
        assert [(run["state"], run["attempts"]) for run in mine] == [
            ("open", 1)
        ]  # the kill; to be stopped is no failure
    (tmp_path / "open").touch()
    assert anima(tmp_path, "run", "tree.toml", "--agent", "ada", "--resume").stdout == "It is done.\n"


def test_told_to_go_a_run_is_parked_says_how_to_go_on_and_that_is_no_failure(tmp_path: Path) -> None:
    agent(tmp_path, calls(("^go", "work", {"number": 1}), ("^1 is", "gate", {}), end="through"), "work", "gate")
    os.mkfifo(tmp_path / "reached")
    with started(tmp_path, "run", "agent.toml", "go") as process:
        assert (tmp_path / "reached").read_text() == "here"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE)
    (run,) = runs(tmp_path)
    assert (process.returncode, out, run["state"], run["attempts"]) == (143, "", "open", 0)
    assert f"anima runs resume agent.toml {run['id']}" in err
    (tmp_path / "open").touch()
    assert anima(tmp_path, "run", "agent.toml", "--resume").stdout == "It is done.\n"
    assert [name for name, _ in effects(tmp_path)] == ["work1"]


def test_what_is_said_to_go_on_with_a_parked_run_does_also_in_a_tree_with_settings(tmp_path: Path) -> None:
    tree(tmp_path, calls(("^go", "gate", {}), end="through"), "gate")
    os.mkfifo(tmp_path / "reached")
    with started(tmp_path, "run", "tree.toml", "--agent", "ada", "--set", "home=some where", "go") as process:
        assert (tmp_path / "reached").read_text() == "here"
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    command = re.search(r"is parked: `anima (.*)` goes on", err)
    assert command is not None, err
    (tmp_path / "open").touch()
    assert anima(tmp_path, *shlex.split(command[1])).stdout == "It is done.\n"
    assert len(runs(tmp_path, "runs", "list", config="tree.toml")) == 0
    listed = anima(tmp_path, "runs", "list", "tree.toml", "--set", "home=some where")
    assert "end_turn" in listed.stdout


def test_an_error_while_it_is_told_to_go_is_told_and_nothing_is_said_to_be_parked(tmp_path: Path) -> None:
    agent(tmp_path, calls(("^go", "gate", {}), end="through"), "gate")
    os.mkfifo(tmp_path / "reached")
    with started(tmp_path, "run", "agent.toml", "go") as process:
        assert (tmp_path / "reached").read_text() == "here"
        shutil.rmtree(tmp_path / ".anima")
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "its file was removed" in err
    assert "is parked" not in err


# The disk


def test_a_damaged_file_is_told_and_nothing_is_begun_anew_over_it(tmp_path: Path) -> None:
    agent(tmp_path, ONE, "work")
    die(tmp_path, "work1")
    anima(tmp_path, "run", "agent.toml", "go")
    file = tmp_path / JOURNAL
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'turns'").fetchone()
    damaged = slice((page - 1) * 4096, page * 4096)
    content = bytearray(file.read_bytes())
    content[damaged] = b"\xa5" * 4096
    file.write_bytes(content)
    for arguments in (["run", "agent.toml", "--resume"], ["run", "agent.toml", "go"], ["runs", "list", "agent.toml"]):
        clear(anima(tmp_path, *arguments), "ada.journal.*damaged.*restore a backup")
    assert file.read_bytes()[damaged] == content[damaged], "it was written over"


def test_a_record_that_cannot_be_read_stops_its_run_alone(tmp_path: Path) -> None:
    agent(tmp_path, ONE, "work")
    die(tmp_path, "work1")
    anima(tmp_path, "run", "agent.toml", "go")
    with closing(sqlite3.connect(tmp_path / JOURNAL)) as connection, connection:
        connection.execute('UPDATE records SET body = \'{"record":"Strange"}\' WHERE number = 2')
    clear(anima(tmp_path, "run", "agent.toml", "--resume"), "cannot be read.*Strange")
    (run,) = runs(tmp_path)
    clear(anima(tmp_path, "runs", "show", "agent.toml", run["id"]), "cannot be read.*Strange")
    assert anima(tmp_path, "run", "agent.toml", "go").stdout == "It is done.\n"
    assert anima(tmp_path, "runs", "forget", "agent.toml", run["id"]).returncode == 0
    assert run["id"] not in [other["id"] for other in runs(tmp_path)]


def test_what_is_shown_of_a_run_has_no_secrets(tmp_path: Path) -> None:
    key = "a-key-of-mine"
    agent(tmp_path, f'answers = [{{ say = "{key} and sk-abcdef123456" }}]', "work")
    text = (tmp_path / "agent.toml").read_text().replace("[llm]", '[llm]\napi_key = "${MY_KEY}"')
    (tmp_path / "agent.toml").write_text(text)
    env = {"MY_KEY": key}
    ran = anima(tmp_path, "run", "agent.toml", f"say {key}", env=env)
    assert ran.stdout == f"{key} and sk-abcdef123456\n"  # the answer itself is the user's
    id = anima(tmp_path, "runs", "list", "agent.toml", env=env).stdout.split()[0]
    for more in ([], ["--json"]):
        shown = anima(tmp_path, "runs", "show", "agent.toml", id, *more, env=env).stdout
        assert "say ***" in shown
        assert key not in shown
        assert "abcdef123456" not in shown


def test_a_turn_that_cannot_be_read_stops_its_agent_and_not_the_rest_of_the_tree(tmp_path: Path) -> None:
    tree(tmp_path, calls(("^go", "gate", {}), end="through"), "gate")
    os.mkfifo(tmp_path / "reached")
    with started(tmp_path, "run", "tree.toml", "--agent", "ada", "go") as process:
        assert (tmp_path / "reached").read_text() == "here"
        process.kill()
    with closing(sqlite3.connect(tmp_path / ".anima" / "office.journal")) as connection, connection:
        connection.execute(
            "UPDATE records SET body = 'broken' WHERE turn IN (SELECT number FROM turns WHERE agent = 'office/ada')"
        )
    (tmp_path / "effects").write_text("")
    ran = anima(tmp_path, "supervise", "tree.toml", "--for", "1s")
    assert ran.returncode == 0, ran.stderr
    assert re.search("office/ada cannot use its journal: a record of .* cannot be read", ran.stderr)
    assert "work7" in dict(effects(tmp_path)), ran.stderr
    assert "Traceback" not in ran.stderr


def in_a_mount(folder: Path, options: str, *lines: str) -> subprocess.CompletedProcess[str]:
    """Run commands where `.anima` is a file system of its own, which nobody else sees."""
    (folder / ".anima").mkdir(exist_ok=True)
    script = "\n".join([f"mount -t tmpfs -o {options} tmpfs .anima || exit 77", *lines])
    command = ["unshare", "-rm", "sh", "-c", script]
    env = environment(PATH=f"{Path(ANIMA).parent}:{os.environ['PATH']}")
    ran = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    if ran.returncode == 77 or "unshare" in ran.stderr:
        pytest.skip(f"no file systems can be mounted here: {ran.stderr}")
    return ran


mounts = pytest.mark.skipif(shutil.which("unshare") is None, reason="unshare is Linux's")


@mounts
def test_when_the_disk_is_full_that_is_told_and_with_room_again_the_run_goes_on(tmp_path: Path) -> None:
    many: list[tuple[str, str, dict[str, Any]]] = [(".", "much", {})] * 10 + [(".", "work", {"number": 1})]
    agent(tmp_path, calls(*many, end="1 is done"), "much", "work", more="[think]\nmax_iterations = 30\n")
    ran = in_a_mount(
        tmp_path,
        "size=320k",
        "anima run agent.toml go; echo status $?",
        "anima runs list agent.toml --json",
        "mount -o remount,size=10m .anima",
        "anima run agent.toml --resume",
    )
    assert ran.returncode == 0, ran.stderr
    first, listed, *_, last = ran.stdout.splitlines()
    assert first == "status 1"
    assert "no room is left on its disk; nothing was written, make room and try again" in ran.stderr
    assert json.loads(listed)["state"] == "open"
    assert last == "It is done."
    assert "Traceback" not in ran.stderr


@mounts
def test_a_home_that_cannot_be_written_is_told_before_anything_is_done(tmp_path: Path) -> None:
    agent(tmp_path, ONE, "work")
    ran = in_a_mount(tmp_path, "ro", "anima run agent.toml go")
    clear(ran, r"ada.journal.*cannot be opened for writing \(Read-only file system\)")
    assert effects(tmp_path) == []
