"""What the tables of an agent file say about its keys."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

import attrs

from ._agent_tables import AgentFileTable


def fields_of(table: type) -> Mapping[str, Any]:
    """The kinds of a table's keys. A kind of several is the first of them: None is not told."""
    attrs.resolve_types(table)
    return {field.name: _first(field.type) for field in attrs.fields(table)}


def is_table(kind: Any) -> bool:
    """Whether a value of this kind is a table with keys that are known."""
    return isinstance(kind, type) and attrs.has(kind)


def _first(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) in (Union, types.UnionType) else kind


def kind_of(path: Sequence[str], table: Any = AgentFileTable) -> Any:
    """The kind of the value at a key path; None if it is not known."""
    kind = table
    for name in path:
        kind = fields_of(kind).get(name) if is_table(kind) else None
    return kind


def setting_paths(table: type = AgentFileTable, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all keys that have a value of their own, in order."""
    for name, kind in fields_of(table).items():
        if is_table(kind):
            yield from setting_paths(kind, (*path, name))
        else:
            yield (*path, name)
