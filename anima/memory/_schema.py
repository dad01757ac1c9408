"""The tables of memory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from anima.store import Schema

from ._rows import Memory, Source, Trust

#: `space` says who sees a row: "agent:NAME" or "team:NAME". `digest` is of what makes two memories the same one; a row
#: that a run has forgotten has none: it is kept for `undo` for a while, and no search finds it.
_FIRST = """
CREATE TABLE memory (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB UNIQUE,
    space TEXT NOT NULL,
    agent TEXT NOT NULL,
    key TEXT,
    text TEXT NOT NULL,
    source TEXT NOT NULL,
    trust TEXT NOT NULL,
    run TEXT NOT NULL,
    conversation TEXT NOT NULL,
    speaker TEXT NOT NULL,
    at REAL NOT NULL,
    importance REAL NOT NULL,
    chosen INTEGER NOT NULL,
    count INTEGER NOT NULL DEFAULT 1,
    last REAL NOT NULL,
    once TEXT NOT NULL,
    forgotten_by TEXT,
    forgotten_at REAL
);
CREATE INDEX memory_once ON memory (agent, once) WHERE once <> '';
CREATE INDEX memory_in_conversation ON memory (space, conversation, id) WHERE forgotten_by IS NULL;
CREATE INDEX memory_by_speaker ON memory (space, conversation, speaker) WHERE forgotten_by IS NULL;
CREATE INDEX memory_by_time ON memory (space, at) WHERE forgotten_by IS NULL;
CREATE INDEX memory_by_key ON memory (space, key, id) WHERE key IS NOT NULL AND forgotten_by IS NULL;
CREATE INDEX memory_by_run ON memory (run) WHERE run <> '';
CREATE INDEX memory_forgotten ON memory (forgotten_by, forgotten_at) WHERE forgotten_by IS NOT NULL;

CREATE TABLE sighting (
    id INTEGER PRIMARY KEY,
    memory INTEGER NOT NULL REFERENCES memory ON DELETE CASCADE,
    agent TEXT NOT NULL,
    run TEXT NOT NULL,
    at REAL NOT NULL,
    once TEXT NOT NULL
);
CREATE INDEX sighting_once ON sighting (agent, once) WHERE once <> '';
CREATE INDEX sighting_of ON sighting (memory);
CREATE INDEX sighting_by_run ON sighting (run) WHERE run <> '';

CREATE TABLE speaker (
    space TEXT NOT NULL,
    word TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (space, word, name)
) WITHOUT ROWID;

CREATE TABLE vector (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    memory INTEGER NOT NULL UNIQUE REFERENCES memory ON DELETE CASCADE,
    data BLOB NOT NULL
);

CREATE VIRTUAL TABLE memory_words USING fts5 (
    text, key, content='memory', content_rowid='id', tokenize='porter unicode61 remove_diacritics 2'
);
CREATE TRIGGER memory_added AFTER INSERT ON memory BEGIN
    INSERT INTO memory_words (rowid, text, key) VALUES (new.id, new.text, new.key);
END;
CREATE TRIGGER memory_deleted AFTER DELETE ON memory WHEN old.forgotten_by IS NULL BEGIN
    INSERT INTO memory_words (memory_words, rowid, text, key) VALUES ('delete', old.id, old.text, old.key);
END;
CREATE TRIGGER memory_forgotten AFTER UPDATE OF forgotten_by ON memory
WHEN old.forgotten_by IS NULL AND new.forgotten_by IS NOT NULL BEGIN
    INSERT INTO memory_words (memory_words, rowid, text, key) VALUES ('delete', old.id, old.text, old.key);
END;
CREATE TRIGGER memory_restored AFTER UPDATE OF forgotten_by ON memory
WHEN old.forgotten_by IS NOT NULL AND new.forgotten_by IS NULL BEGIN
    INSERT INTO memory_words (rowid, text, key) VALUES (new.id, new.text, new.key);
END;
"""

SCHEMA = Schema("memory", (_FIRST,))

#: What `row_of` reads, of a table or alias `m`.
COLUMNS = (
    "m.id, m.agent, m.space, m.key, m.text, m.source, m.trust, m.run, m.conversation, m.speaker, m.at, m.importance, "
    "m.chosen, m.count, m.last"
)


def row_of(values: Any) -> Memory:
    """A memory from its columns."""
    id, agent, space, key, text, source, trust, run, conversation, speaker, at, importance, chosen, count, last = values
    return Memory(
        id,
        agent,
        space if space.startswith("team:") else "agent",
        key,
        text,
        Source(source),
        Trust(trust),
        run,
        conversation,
        speaker,
        moment(at),
        importance,
        bool(chosen),
        count,
        moment(last),
    )


def space_of(agent: str, scope: str) -> str:
    """Who sees what an agent writes with this scope."""
    return f"agent:{agent}" if scope == "agent" else scope


def moment(seconds: float) -> datetime:
    """The time that is stored as seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
