"""`anima supervise` before anything starts: what `--check` shows, and files that cannot be used."""

from __future__ import annotations

import os

from tests.anima.houses import House, assert_no_wall, home, house, process, task

__all__ = ["house"]


def test_check_draws_the_tree_and_starts_nothing(house: House) -> None:
    file = house.tree(
        home("a", "in")
        + '[supervisors.in]\nchildren = ["p"]\nbackoff = {initial = "20s"}\n'
        + task("a", "announce", 'name = "started"')
        + process("p", f"open({str(house.folder / 'started')!r}, 'w')")
    )
    run = house.supervise(file, "--check", "--events", "events.jsonl")
    assert run.end() == 0
    assert [line.split("  ")[0] for line in run.out.splitlines()[:3]] == ["home", "├─ a", "└─ in"]
    assert "└─ p  process  permanent" in run.out
    assert "note: home/in: " in run.log
    assert run.text("told") == ""
    assert {"started", "events.jsonl"}.isdisjoint(os.listdir(house.folder))


def test_a_wrong_file_ends_with_status_2_and_all_mistakes_and_starts_nothing(house: House) -> None:
    file = house.tree(
        home("a", "b", rest='stratgy = "one_for_all"')
        + task("a", "announce", 'name = "started"')
        + task("b", "liv", rest="shutdown = 5")
    )
    run = house.supervise(file, "--events", "events.jsonl")
    assert run.end() == 2
    assert run.log.splitlines() == [
        f"anima: {file} cannot be used:",
        "  supervisors.home.stratgy: unknown key (did you mean 'strategy'?)",
        '  tasks.b.shutdown: must be a duration like "5s", or "kill", or "never", not 5 (write "5s")',
        "  tasks.b.start: jobs has no 'liv' (did you mean 'live'?)",
    ]
    assert (run.text("told"), run.out) == ("", "")
    assert not (house.folder / "events.jsonl").exists()


def test_a_slip_in_the_toml_and_a_missing_file_end_with_status_2_and_the_place(house: House) -> None:
    slip = house.supervise(house.tree('root = "again"\n'))
    missing = house.supervise(house.folder / "none.toml")
    assert (slip.end(), missing.end()) == (2, 2)
    assert "is not valid TOML: Cannot overwrite a value (at line 3" in slip.log
    assert "none.toml cannot be used:\n  cannot be read: No such file or directory" in missing.log
    assert_no_wall(slip.log + missing.log)


def test_a_file_of_events_that_cannot_be_written_ends_with_status_2_and_starts_nothing(house: House) -> None:
    file = house.tree(home("a") + task("a", "announce", 'name = "started"'))
    folder = house.supervise(file, "--events", str(house.folder))
    nowhere = house.supervise(file, "--events", "nowhere/events.jsonl")
    assert (folder.end(), nowhere.end()) == (2, 2)
    assert "--events" in folder.log
    assert "Is a directory" in folder.log
    assert "--events nowhere/events.jsonl: No such file or directory" in nowhere.log
    assert (folder.text("told"), nowhere.text("told")) == ("", "")
