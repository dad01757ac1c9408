"""A memory: what is kept, where it came from, and what is handed in to become one."""

from __future__ import annotations

import enum
import math
import re
from datetime import UTC, datetime

import attrs

from ._errors import BadMemory

#: Characters of one memory; a longer text is a document, which a tool should keep.
LONGEST = 100_000
SCOPE = re.compile(r"agent|team:\S.*", re.DOTALL)


class Source(enum.Enum):
    """Who said it."""

    USER = "user"
    TOOL = "tool"
    MODEL = "model"


class Trust(enum.Enum):
    """Whether it may be taken at its word. What tools bring (pages, files, mails) is written by anybody."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


def default_trust(source: Source) -> Trust:
    """What is thought of a source of which nothing else is known."""
    return Trust.UNTRUSTED if source is Source.TOOL else Trust.TRUSTED


def mended(text: str) -> str:
    """The text as a database takes it: lone surrogates, which are no characters, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def utc(at: datetime | None) -> datetime | None:
    """The same moment, in UTC. Raises `BadMemory` for one without a time zone."""
    if at is None:
        return None
    if at.tzinfo is None:
        raise BadMemory(f"a time needs its zone, {at.isoformat()} has none: datetime(..., tzinfo=UTC)")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise BadMemory(f"{at.isoformat()} is in no year that there is in UTC") from None


def _text(_: NewMemory, __: attrs.Attribute[str], text: str) -> None:
    if not text.strip():
        raise BadMemory("there is nothing to remember: the text is empty")
    if len(text) > LONGEST:
        raise BadMemory(f"a memory has at most {LONGEST} characters, this one has {len(text)}; remember its gist")


def _scope(_: NewMemory, __: attrs.Attribute[str], scope: str) -> None:
    check_scope(scope)


def _importance(_: NewMemory, __: attrs.Attribute[float], importance: float) -> None:
    if not 0 <= importance <= 10 or math.isnan(importance):
        raise BadMemory(f"importance is a number from 0 to 10, 1 is usual, not {importance!r}")


def _key(_: NewMemory, __: attrs.Attribute[str | None], key: str | None) -> None:
    if key is not None and not key.strip():
        raise BadMemory("a key is None or a name, not empty")


def check_scope(scope: str) -> None:
    """Raises `BadMemory` for what is no scope."""
    if not SCOPE.fullmatch(scope):
        raise BadMemory(f'scope is "agent" or "team:NAME", not {scope!r}')


@attrs.frozen
class NewMemory:
    """What is to be remembered. Raises `BadMemory` for what cannot be."""

    text: str = attrs.field(converter=mended, validator=_text)
    #: the name of a note, which `get` finds
    key: str | None = attrs.field(
        default=None, kw_only=True, converter=attrs.converters.optional(mended), validator=_key
    )
    source: Source = attrs.field(default=Source.MODEL, kw_only=True)
    #: by default: untrusted if a tool brought it
    trust: Trust = attrs.field(kw_only=True)
    #: the run, or turn, that wrote it: what `undo` takes
    run: str = attrs.field(default="", kw_only=True, converter=mended)
    #: what was said in one conversation is credited together; in the order in which it was remembered
    conversation: str = attrs.field(default="", kw_only=True, converter=mended)
    speaker: str = attrs.field(default="", kw_only=True, converter=mended)
    #: when it was said; by default now
    at: datetime | None = attrs.field(default=None, kw_only=True, converter=utc)
    importance: float = attrs.field(default=1.0, kw_only=True, validator=_importance)
    #: "agent": for itself, or "team:NAME": for all who have this scope
    scope: str = attrs.field(default="agent", kw_only=True, converter=mended, validator=_scope)
    #: somebody chose to remember it; False for what is recorded by itself, such as a conversation
    chosen: bool = attrs.field(default=True, kw_only=True)
    #: an idempotency key: what was remembered with the same one is not remembered, or counted, again
    once: str = attrs.field(default="", kw_only=True, converter=mended)

    @trust.default
    def _trust(self) -> Trust:
        return default_trust(self.source)


@attrs.frozen
class Memory:
    """A memory that is kept."""

    id: int
    #: who wrote it
    agent: str
    scope: str
    key: str | None
    text: str
    source: Source
    trust: Trust
    run: str
    conversation: str
    speaker: str
    #: when it was said, in UTC
    at: datetime
    importance: float
    chosen: bool
    #: how often it was remembered: an exact duplicate counts, and is no second memory
    count: int
    #: when it was remembered last, in UTC
    last: datetime


@attrs.frozen
class Recalled:
    """A memory that was recalled. Scores of one recall can be compared, and no others."""

    memory: Memory
    score: float
