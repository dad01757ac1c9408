"""What is left when `anima` ends before its task does, and the commands that show and mend that, as users run them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.anima.commands import anima, started
from tests.anima.deeds import JOURNAL, KILLED, ONE, agent, calls, clear, die, effects, records, runs


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
    question = "whether send took effect (step 2): `anima runs settle CONFIG "
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
