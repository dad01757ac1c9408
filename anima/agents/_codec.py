"""Records as JSON, and back. What cannot be read is told, and never guessed."""

from __future__ import annotations

import enum
import json
from typing import Any

from cattrs import Converter
from cattrs.strategies import configure_tagged_union

from anima.llm import Part

from ._records import Record


class UnreadableRecord(Exception):
    """A record in the journal is none that this program knows; the text says of which turn. It is left as it is."""


def _converter() -> Converter:
    converter = Converter(omit_if_default=True, forbid_extra_keys=True)
    configure_tagged_union(Part, converter, tag_name="part")
    configure_tagged_union(Record, converter, tag_name="record")
    converter.register_unstructure_hook(enum.Enum, lambda member: member.value)
    return converter


class Codec:
    """Makes texts of records and records of texts."""

    def __init__(self) -> None:
        self._converter = _converter()

    def encode(self, record: Record) -> str:
        """One line of JSON. Half surrogate pairs, which models may send, survive as escapes."""
        return json.dumps(self._converter.unstructure(record, unstructure_as=Record), separators=(",", ":"))

    def decode(self, text: str, turn: str) -> Record:
        """Raises `UnreadableRecord`."""
        try:
            record: Any = self._converter.structure(json.loads(text), Record)  # type: ignore[arg-type]
        except Exception as error:
            hint = "`anima runs forget` takes the run out"
            raise UnreadableRecord(f"a record of {turn} cannot be read: {text[:200]!r}; {hint}") from error
        return record  # type: ignore[no-any-return]
