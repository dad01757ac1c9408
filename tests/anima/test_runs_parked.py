"""Told to go, or killed in a tree: what is left is gone on with later."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
from pathlib import Path

from tests.anima.commands import PATIENCE, anima, started
from tests.anima.deeds import agent, calls, effects, runs, tree


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
