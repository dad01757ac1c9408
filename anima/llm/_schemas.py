"""JSON schemas of answers, as the providers enforce them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._json import as_list

_OF_SCHEMAS = frozenset({"properties", "$defs", "definitions"})
_LISTS = frozenset({"anyOf", "allOf", "oneOf", "prefixItems"})
_BOUNDS = frozenset(
    {
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "minItems",
        "maxItems",
        "uniqueItems",
        "minProperties",
        "maxProperties",
        "$schema",
        "$id",
        "default",
        "examples",
        "format",
    }
)


def is_strict(schema: object) -> bool:
    """A schema whose objects all say which keys they have, and demand each: OpenAI enforces no other strictly."""
    if isinstance(schema, list | tuple):
        return all(map(is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if _is_object(schema) and (
        schema.get("additionalProperties") is not False
        or set(as_list(schema.get("required"))) != set(schema.get("properties", ()))
    ):
        return False
    return all(map(is_strict, schema.values()))


def closed(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """A copy in which objects have no keys but those it names, and nothing has bounds: Anthropic enforces no other.

    None if there is none: for a map with any keys, and for a schema that holds itself. What the copy lacks has to be
    checked in the answer.
    """
    if _holds_itself(schema):
        return None
    try:
        return _closed(schema)
    except _Open:
        return None


class _Open(Exception):
    """An object may have any keys."""


def _closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _BOUNDS or key == "additionalProperties":
            continue
        if key in _OF_SCHEMAS and isinstance(value, Mapping):
            copy[key] = {name: _any(inner) for name, inner in value.items()}
        elif key in _LISTS and isinstance(value, list | tuple):
            copy["anyOf" if key == "oneOf" else key] = [_any(inner) for inner in value]
        elif key == "items":
            copy[key] = _any(value)
        else:
            copy[key] = value
    if _is_object(schema):
        if schema.get("additionalProperties") not in (None, False) or not (
            schema.get("properties") or schema.get("additionalProperties") is False
        ):
            raise _Open
        copy["additionalProperties"] = False
    return copy


def _any(schema: object) -> object:
    return _closed(schema) if isinstance(schema, Mapping) else schema


def _is_object(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "object" or isinstance(schema.get("properties"), Mapping)


def _holds_itself(schema: Mapping[str, Any]) -> bool:
    """Follow the references from definition to definition; only a schema can be without end, never its text."""
    definitions: dict[str, object] = {"#": schema}
    for key in ("$defs", "definitions"):
        found = schema.get(key)
        if isinstance(found, Mapping):
            definitions |= {f"#/{key}/{name}": inner for name, inner in found.items()}
    refers = {name: set(_references(inner)) for name, inner in definitions.items() if name != "#"}
    refers["#"] = {"#"} if "#" in _references(schema) else set()

    def reaches(name: str, path: frozenset[str]) -> bool:
        return name in path or any(reaches(next, path | {name}) for next in refers.get(name, ()))

    return any(reaches(name, frozenset()) for name in refers)


def _references(schema: object) -> list[str]:
    if isinstance(schema, Mapping):
        own = [schema["$ref"]] if isinstance(schema.get("$ref"), str) else []
        return own + [found for inner in schema.values() for found in _references(inner)]
    if isinstance(schema, list | tuple):
        return [found for inner in schema for found in _references(inner)]
    return []
