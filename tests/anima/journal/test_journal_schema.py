"""A journal of an older version is brought to this one, and one of a newer version is left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from anima.agents import JOURNAL, Letter, Spawned, StoreJournal, UnreadableRecord, list_runs, read_run
from anima.store import Schema, StoreNewer, open_store
from tests.anima.journal.journals import ended

#: What each version has to have read, as it stood on the disk.
ROWS = {
    1: """
    INSERT INTO turns (id, agent, conversation, state, attempts, epoch, began, changed, stop_reason, error) VALUES
        ('t1', 'home/ada', 'main', 'ended', 1, 1, 1000.0, 1001.0, 'end_turn', NULL),
        ('t2', 'home/ada', 'main', 'open', 2, 1, 1002.0, 1002.0, NULL, NULL),
        ('t3', 'home/ada', 'main', 'aside', 6, 1, 1003.0, 1003.0, NULL, 'it crashed');
    INSERT INTO records VALUES
        (1, 1, 1000.0, '{"task":"go","conversation":"main","agent":"home/ada","record":"TurnBegan"}'),
        (1, 2, 1001.0, '{"stop_reason":"end_turn","text":"It is 42.","record":"TurnEnded"}'),
        (2, 1, 1002.0, '{"task":"go","conversation":"main","agent":"home/ada","record":"TurnBegan"}'),
        (3, 1, 1003.0, '{"task":"go","conversation":"main","agent":"home/ada","record":"TurnBegan"}');
    INSERT INTO letters (id, agent, sender, text, posted, seen) VALUES
        ('n1', 'home/ada', 'home/bob', 'seen', 1000.0, 1001.0),
        ('n2', 'home/ada', 'home/bob', 'news', 1002.0, NULL);
    INSERT INTO timers VALUES ('home/ada', 'news?', 2000.0);
    """,
    2: """
    UPDATE turns SET owed = 1 WHERE id = 't1';
    INSERT INTO spawned VALUES ('home/ada', 'eve', 'You are Eve.', 'k1', 2);
    """,
}


@pytest.mark.parametrize("version", range(1, JOURNAL.version + 1))
async def test_what_an_older_version_has_kept_is_there_in_this_one(tmp_path: Path, version: int) -> None:
    file = tmp_path / "ada.journal"
    older = Schema(JOURNAL.name, JOURNAL.migrations[:version])
    async with open_store(file, older, owner="an older program") as store:
        for statement in "".join(ROWS[one] for one in range(1, version + 1)).split(";")[:-1]:
            await store.write(lambda connection, sql=statement: connection.execute(sql).fetchall())  # type: ignore[misc]
    async with open_store(file, JOURNAL, owner="this program") as store:
        journal = StoreJournal(store)
        assert await journal.turns("home/ada", "main") == ("t1", "t2", "t3")
        assert (await journal.records("t1"))[-1] == ended()
        assert await journal.unfinished("home/ada") == ("t2",)
        assert await journal.attempt("t2") == 3
        assert await journal.letters("home/ada") == (Letter("n2", "news", "home/bob"),)
        assert await journal.due("home/ada", "news?") == 2000.0
        assert await journal.unremembered("home/ada") == ({"t1": 1001.0} if version > 1 else {})
        eve = (Spawned("eve", "You are Eve.", "k1"),) if version > 1 else ()
        assert await journal.spawned("home/ada", now_open=True) == eve
        assert [run.state for run in await list_runs(store)] == ["ended", "open", "aside"]


async def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "ada.journal"
    newer = Schema(JOURNAL.name, (*JOURNAL.migrations, "CREATE TABLE more (it)"))
    async with open_store(file, newer, owner="a newer program"):
        pass
    before = file.read_bytes()
    with pytest.raises(StoreNewer, match=f"version {JOURNAL.version + 1} .* use a newer program"):
        async with open_store(file, JOURNAL, owner="this program"):
            pass
    assert file.read_bytes() == before


async def test_a_record_of_an_unknown_kind_is_told_and_hides_no_other_turn(tmp_path: Path) -> None:
    file = tmp_path / "ada.journal"
    async with open_store(file, JOURNAL, owner="this program") as store:
        for statement in ROWS[1].split(";")[:-1]:
            await store.write(lambda connection, sql=statement: connection.execute(sql).fetchall())  # type: ignore[misc]
        await store.write(lambda it: it.execute('UPDATE records SET body = \'{"record":"New"}\' WHERE turn = 2'))
        journal = StoreJournal(store)
        with pytest.raises(UnreadableRecord, match='"New"'):
            await journal.records("t2")
        with pytest.raises(UnreadableRecord, match='"New"'):
            await read_run(store, "t2")
        assert (await journal.records("t1"))[-1] == ended()
