"""The disk under a run is damaged, full, or may not be written."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.anima.commands import ANIMA, PATIENCE, anima, environment, started
from tests.anima.deeds import JOURNAL, ONE, agent, calls, clear, die, effects, runs, tree


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
