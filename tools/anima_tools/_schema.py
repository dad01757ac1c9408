"""JSON values against JSON schemas: every fault at once, each with its place, what was expected and what was got.

Of a schema the structure is looked at: `type`, `enum`, `const`, `properties`, `required`, `additionalProperties`,
`items`, `prefixItems`, `anyOf`, `$ref`. Limits of numbers and lengths are left to the conversion into Python's types.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ._errors import nearest

Schema = Mapping[str, Any]

_TYPES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}


def fit(value: Any, schema: Schema, *, root: Schema | None = None, path: str = "") -> tuple[Any, list[str]]:
    """The value as the schema wants it, and what is wrong with it.

    A number without a fraction is taken for an integer (`3.0` for 3), and the other way round.
    """
    root = schema if root is None else root
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return _fit_any(value, schema["anyOf"], root, path)
    if "enum" in schema or "const" in schema:
        valid = schema.get("enum", [schema.get("const")])
        if any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in valid):
            return value, []
        return value, [_fault(path, schema, value)]
    match schema.get("type"):
        case None:
            return value, []
        case "object" if isinstance(value, dict):
            return _fit_object(value, schema, root, path)
        case "array" if isinstance(value, list):
            return _fit_array(value, schema, root, path)
        case "integer" if isinstance(value, float) and value.is_integer():
            return int(value), []
        case "number" if isinstance(value, int) and not isinstance(value, bool):
            return value, []
        case kind if kind == type_name(value):
            return value, []
    return value, [_fault(path, schema, value)]


def _fit_any(value: Any, branches: list[Schema], root: Schema, path: str) -> tuple[Any, list[str]]:
    tried = [fit(value, branch, root=root, path=path) for branch in branches]
    for fitted, faults in tried:
        if not faults:
            return fitted, []
    # The faults inside of the one branch that was meant say more than that no branch fits.
    deeper = [faults for _, faults in tried if not (len(faults) == 1 and faults[0].startswith(f"{path}: expected"))]
    if len(deeper) == 1:
        return value, deeper[0]
    return value, [_fault(path, {"anyOf": branches}, value)]


def _fit_object(value: dict[str, Any], schema: Schema, root: Schema, path: str) -> tuple[Any, list[str]]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    fitted, faults = dict(value), []
    for name in schema.get("required", ()):
        if name not in value:
            faults.append(f"{_join(path, name)}: missing, expected {expected(properties.get(name, {}))}")
    for name, inner in value.items():
        if name in properties or isinstance(others, Mapping):
            fitted[name], wrong = fit(inner, properties.get(name, others), root=root, path=_join(path, name))
            faults += wrong
        elif others is False:
            hint = nearest(name, properties) or "no key is expected"
            faults.append(f"{_join(path, name)}: unknown; {hint}")
    return fitted, faults


def _fit_array(value: list[Any], schema: Schema, root: Schema, path: str) -> tuple[Any, list[str]]:
    first, rest = schema.get("prefixItems", []), schema.get("items", {})
    fitted, faults = [], []
    for index, inner in enumerate(value):
        one = first[index] if index < len(first) else rest
        if isinstance(one, Mapping):
            inner, wrong = fit(inner, one, root=root, path=f"{path}[{index}]")
            faults += wrong
        fitted.append(inner)
    return fitted, faults


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _fault(path: str, schema: Schema, value: Any) -> str:
    return f"{path}: expected {expected(schema)}, got {shown(value)}"


def expected(schema: Schema) -> str:
    """What a schema wants, in words."""
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(expected(branch) for branch in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        valid = [json.dumps(one, ensure_ascii=False) for one in schema.get("enum", [schema.get("const")])]
        return valid[0] if len(valid) == 1 else f"one of {', '.join(valid)}"
    kind = schema.get("type", "object" if "$ref" in schema else "a value")
    return str(kind)


def type_name(value: Any) -> str:
    """What JSON calls such a value."""
    return "null" if value is None else _TYPES[type(value)]


def shown(value: Any, most: int = 60) -> str:
    """A value and its type, shortened."""
    kind = type_name(value)
    text = json.dumps(value, ensure_ascii=False)
    if len(text) > most:
        text = text[: most - 3] + "..."
    return kind if value is None else f"{kind} {text}"
