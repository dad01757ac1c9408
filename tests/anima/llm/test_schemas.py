"""JSON schemas of answers, as the providers enforce them."""

from __future__ import annotations

from typing import Any

import pytest

from anima.llm._schemas import closed, is_strict

STRICT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (STRICT, True),
        ({"type": "string"}, True),
        ({**STRICT, "required": []}, False),
        ({key: value for key, value in STRICT.items() if key != "additionalProperties"}, False),
        ({"anyOf": [STRICT, {"type": "object"}]}, False),
        ({"type": "array", "items": {"type": "object", "properties": {}}}, False),
        ({"$defs": {"x": {"type": "object"}}, "$ref": "#/$defs/x"}, False),
    ],
)
def test_strict_is_a_schema_whose_objects_demand_all_their_keys(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict


def test_a_closed_copy_has_no_bounds_and_no_other_keys() -> None:
    schema = {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer", "minimum": 3, "default": 4},  # a key may be called like a bound
            "many": {"type": "array", "minItems": 2, "items": {"type": "object", "properties": {"x": {}}}},
            "one": {"oneOf": [{"type": "string", "format": "uri"}, {"type": "null"}]},
        },
        "required": ["minimum"],
    }
    before = repr(schema)
    assert closed(schema) == {
        "type": "object",
        "properties": {
            "minimum": {"type": "integer"},
            "many": {
                "type": "array",
                "items": {"type": "object", "properties": {"x": {}}, "additionalProperties": False},
            },
            "one": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["minimum"],
        "additionalProperties": False,
    }
    assert repr(schema) == before


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "array", "items": {"type": "object", "additionalProperties": True}},
        {"type": "object", "properties": {"next": {"$ref": "#"}}},
        {
            "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"items": {"$ref": "#/$defs/a"}}},
            "$ref": "#/$defs/a",
        },
    ],
)
def test_a_map_and_a_schema_that_holds_itself_cannot_be_closed(schema: dict[str, Any]) -> None:
    assert closed(schema) is None


def test_a_definition_may_be_used_twice() -> None:
    schema = {"$defs": {"a": {"type": "string"}}, "anyOf": [{"$ref": "#/$defs/a"}, {"items": {"$ref": "#/$defs/a"}}]}
    assert closed(schema) == schema
