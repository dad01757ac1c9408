"""The parameters of a function as a JSON schema, and JSON as its arguments."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any

import attrs

from ._calls import Arguments
from ._docstring import parse_docstring
from ._errors import BadArguments, BadTool
from ._invocation import Invocation
from ._schema import fit, shown

#: Keys of a schema whose values are no schemas.
_DATA = frozenset({"default", "enum", "const", "examples", "required"})


@attrs.frozen
class Signature:
    """What a function takes: made when it is first needed, since types may be defined after the function."""

    name: str
    schema: Mapping[str, Any]
    types: Mapping[str, Any]
    #: the parameter that is given the `Invocation`
    given: str | None

    def read(self, text: str) -> Arguments:
        """Parse and check the JSON of a model. Raises `BadArguments`."""
        import msgspec

        try:
            raw = msgspec.json.decode(text) if text.strip() else {}
            if not isinstance(raw, dict):
                raise BadArguments(self.name, [f"expected one JSON object, got {shown(raw)}"])
            fitted, faults = fit(self._without_nulls(raw), self.schema)
            canonical = msgspec.json.encode(fitted, order="sorted").decode()
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
            raise BadArguments(self.name, [f"they are not JSON ({error}); send one JSON object"]) from None
        if faults:
            raise BadArguments(self.name, faults)
        values = {}
        for name, value in fitted.items():
            try:
                values[name] = msgspec.convert(value, self.types[name], str_keys=True)
            except (msgspec.ValidationError, OverflowError) as error:
                faults.append(_fault(name, str(error)))
        if faults:
            raise BadArguments(self.name, faults)
        return Arguments(values, canonical)

    def _without_nulls(self, raw: dict[str, Any]) -> dict[str, Any]:
        """Without the nulls that stand for a default: models send them where a parameter may be left out."""
        properties, required = self.schema["properties"], self.schema["required"]
        return {
            name: value
            for name, value in raw.items()
            if value is not None or name in required or name not in properties or not fit(None, properties[name])[1]
        }


def _fault(name: str, text: str) -> str:
    """A fault that msgspec has found: `Expected ... - at `$.x`` becomes `name.x: expected ...`."""
    what, _, place = text.partition(" - at ")
    place = place.replace("`", "").replace("key in ", "")
    where = name + place.removeprefix("$") + (", a key" if "`key` in" in text else "")
    return f"{where}: {what[:1].lower()}{what[1:]}"


def read_signature(function: Callable[..., Any], name: str) -> Signature:
    """The signature of a function that is to be a tool. Raises `BadTool`."""
    hints = _hints(function, name)
    taken, given = _parameters(function, name, hints)
    _, texts = parse_docstring(inspect.getdoc(inner_function(function)))
    types: dict[str, Any] = {}
    for parameter in taken:
        types[parameter], text = _without_text(hints[parameter])
        if text:
            texts[parameter] = text
    schemas, definitions = _schemas(name, types)
    properties: dict[str, Any] = {}
    for parameter, schema in zip(taken, schemas, strict=True):
        properties[parameter] = _inlined(schema, definitions) | _default(taken[parameter])
        if texts.get(parameter):
            properties[parameter]["description"] = texts[parameter]
    whole: dict[str, Any] = {
        "type": "object",
        "properties": properties,
        "required": [parameter for parameter in taken if taken[parameter] is inspect.Parameter.empty],
        "additionalProperties": False,
    }
    if missing := _references(properties):
        whole["$defs"] = {key: _inlined(definitions[key], definitions, (key,)) for key in sorted(missing)}
    return Signature(name, whole, types, given)


def _parameters(function: Callable[..., Any], name: str, hints: Mapping[str, Any]) -> tuple[dict[str, Any], str | None]:
    """The parameters that a model gives, with their defaults, and the one that is given the `Invocation`."""
    taken: dict[str, Any] = {}
    given = None
    for parameter in inspect.signature(function).parameters.values():
        where = f"tool {name}, parameter {parameter.name!r}"
        if hints.get(parameter.name) is Invocation:
            given = parameter.name
        elif parameter.kind not in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY):
            raise BadTool(f"{where}: a tool is called by names; give each parameter one, without * and /")
        elif parameter.name in hints:
            taken[parameter.name] = parameter.default
        elif parameter.name == "self":
            raise BadTool(f"{where} has no type; make the tool of a bound method: tool(object.method)")
        else:
            raise BadTool(f"{where} has no type; annotate it")
    return taken, given


def _schemas(name: str, types: Mapping[str, Any]) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    """The schemas of types, and the definitions that they refer to."""
    import msgspec

    for parameter, kind in types.items():
        try:
            msgspec.json.schema_components([kind])
        except (TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0].rstrip(":")
            where = f"tool {name}, parameter {parameter!r}"
            raise BadTool(f"{where}: {kind!r} has no JSON schema ({reason})") from None
    try:
        # All at once: types of one name in two modules get two names.
        return msgspec.json.schema_components(types.values(), ref_template="#/$defs/{name}")
    except KeyError as error:
        raise BadTool(f"tool {name}: two of its types have the same name, {error}; rename one of them") from None


def inner_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function behind partials, or behind an object that can be called."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function):
        return function
    inner: Callable[..., Any] = type(function).__call__
    return inner


def _hints(function: Callable[..., Any], name: str) -> dict[str, Any]:
    try:
        return typing.get_type_hints(inner_function(function), include_extras=True)
    except (NameError, TypeError) as error:
        raise BadTool(f"tool {name}: a type cannot be found ({error}); define it at the top of its module") from None


def _without_text(kind: Any) -> tuple[Any, str | None]:
    """`Annotated[T, "text"]` as T and the text."""
    if typing.get_origin(kind) is not Annotated:
        return kind, None
    inner, *extras = typing.get_args(kind)
    text = next((extra for extra in extras if isinstance(extra, str)), None)
    others = [extra for extra in extras if not isinstance(extra, str)]
    return (Annotated[(inner, *others)] if others else inner), text


def _default(value: Any) -> dict[str, Any]:
    import msgspec

    if value is inspect.Parameter.empty:
        return {}
    try:
        return {"default": msgspec.to_builtins(value)}
    except (TypeError, ValueError):
        return {}  # it is the function's own business


def _inlined(schema: Any, definitions: Mapping[str, Any], within: tuple[str, ...] = ()) -> Any:
    """A schema that stands for itself: references are replaced, but for those of a type to itself.

    Some servers take no `$ref`. An object with known keys takes no others.
    """
    if isinstance(schema, list):
        return [_inlined(one, definitions, within) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        key = schema["$ref"].rpartition("/")[2]
        rest = {name: value for name, value in schema.items() if name != "$ref"}
        return schema if key in within else _inlined(definitions[key], definitions, (*within, key)) | rest
    inlined = {name: schema[name] if name in _DATA else _inlined(schema[name], definitions, within) for name in schema}
    inlined.pop("title", None)
    if all(isinstance(one, str) for one in schema.get("enum", [None])):
        inlined = {"type": "string", **inlined}  # some servers want it
    if "properties" in schema:
        properties = schema["properties"].items()
        inlined["properties"] = {name: _inlined(one, definitions, within) for name, one in properties}
        inlined.setdefault("additionalProperties", False)
    return inlined


def _references(schema: Any) -> set[str]:
    """The keys of the definitions that are still referred to."""
    if isinstance(schema, list):
        return {key for one in schema for key in _references(one)}
    if not isinstance(schema, dict):
        return set()
    if isinstance(schema.get("$ref"), str):
        return {schema["$ref"].rpartition("/")[2]}
    return {key for name, one in schema.items() if name not in _DATA for key in _references(one)}
