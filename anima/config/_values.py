"""Values of configuration files: strictly typed, durations with units, words from a list. Built on cattrs."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.errors import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError

from anima_supervisors import After, Kill, Never, StopPolicy

from ._errors import Problem, nearest

T = TypeVar("T")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d{1,15}(?:\.\d+)?)(ms|s|m|h|d)")
_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_SIZE = re.compile(r"(\d{1,15})(B|KiB|MiB|GiB|TiB)")


class Duration(float):
    """Seconds, written as a text with a unit: `250ms`, `30s`, `5m`, `1h`, `90d`."""


class Span(Duration):
    """A duration above 0."""


class Size(int):
    """Bytes, written as a text with a unit: `512B`, `64KiB`, `10MiB`, `1GiB`, `2TiB`."""


class Count(int):
    """A whole number, 1 or more."""


class Natural(int):
    """A whole number, 0 or more."""


class Positive(float):
    """A number above 0."""


class Amount(float):
    """A number, 0 or more."""


class BadValue(ValueError):
    """A value of a wrong type or outside of what is allowed; the text says what is expected."""

    def __init__(self, what: str, hint: str | None = None) -> None:
        super().__init__(what)
        self.hint = hint


def parse_duration(value: object) -> Duration:
    """Seconds from a text like `250ms`, `30s`, `5m`, `1h`, `90d`. Raises `BadValue`."""
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        hint = f'write "{value:g}s"' if isinstance(value, int | float) and not isinstance(value, bool) else None
        raise BadValue(f'must be a duration like "250ms", "30s" or "5m", not {value!r}', hint)
    return Duration(float(match[1]) * _UNITS[match[2]])


def parse_size(value: object) -> Size:
    """Bytes from a text like `64KiB` or `1GiB`. Raises `BadValue`."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadValue(f'must be a size like "64KiB", "10MiB" or "1GiB", not {value!r}')
    return Size(int(match[1]) * _SIZES[match[2]])


def parse_stop_policy(value: object) -> StopPolicy:
    """`kill`, `never`, or a duration. Raises `BadValue`."""
    match value:
        case "kill":
            return Kill()
        case "never":
            return Never()
        case _:
            try:
                return After(parse_duration(value))
            except BadValue as error:
                raise BadValue(
                    f'must be a duration like "5s", or "kill", or "never", not {value!r}', error.hint
                ) from None


def _exact(kind: type, words: str) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise BadValue(f"must be {words}, not {value!r}")
        return value

    return structure


def _number(value: Any, _: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadValue(f"must be a number, not {value!r}")
    try:
        return float(value)
    except OverflowError:
        raise BadValue(f"is too large: {value!r}") from None


def _word(value: Any, kind: type[enum.Enum]) -> enum.Enum:
    words = [member.value for member in kind]
    if value not in words:
        hint = nearest(value, words) if isinstance(value, str) else None
        raise BadValue(f"must be one of {', '.join(words)}, not {value!r}", hint)
    return kind(value)


def _path(value: Any, _: Any) -> Path:
    text = _exact(str, "a text")(value, str)
    if "\0" in text:
        raise BadValue(f"must be a path, not {value!r}")
    return Path(text)


def _span(value: Any, _: Any) -> Span:
    seconds = parse_duration(value)
    if not seconds > 0:
        raise BadValue(f"must be a duration above 0, not {value!r}")
    return Span(seconds)


def _whole(least: int, kind: type[int]) -> Callable[[Any, Any], int]:
    def structure(value: Any, _: Any) -> int:
        if type(value) is not int or value < least:
            raise BadValue(f"must be a whole number, {least} or more, not {value!r}")
        return kind(value)

    return structure


def _positive(value: Any, _: Any) -> Positive:
    number = _number(value, float)
    if not 0 < number < math.inf:
        raise BadValue(f"must be a number above 0, not {value!r}")
    return Positive(number)


def _amount(value: Any, _: Any) -> Amount:
    number = _number(value, float)
    if not 0 <= number < math.inf:
        raise BadValue(f"must be a number, 0 or more, not {value!r}")
    return Amount(number)


def _is_mapping(kind: Any) -> bool:
    return get_origin(kind) is Mapping


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _make_converter() -> Converter:
    """A converter that never coerces: what has another type than asked for is an error."""
    converter = Converter(forbid_extra_keys=True)
    converter.register_structure_hook(str, _exact(str, "a text"))
    converter.register_structure_hook(int, _exact(int, "a whole number"))
    converter.register_structure_hook(bool, _exact(bool, "true or false"))
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(Duration, lambda value, _: parse_duration(value))
    converter.register_structure_hook(Size, lambda value, _: parse_size(value))
    converter.register_structure_hook(Path, _path)
    converter.register_structure_hook(Span, _span)
    converter.register_structure_hook(Count, _whole(1, Count))
    converter.register_structure_hook(Natural, _whole(0, Natural))
    converter.register_structure_hook(Positive, _positive)
    converter.register_structure_hook(Amount, _amount)
    converter.register_structure_hook_func(
        lambda kind: kind in (StopPolicy, StopPolicy | None), lambda value, _: parse_stop_policy(value)
    )
    converter.register_structure_hook_func(lambda kind: isinstance(kind, type) and issubclass(kind, enum.Enum), _word)

    @converter.register_structure_hook_factory(_is_mapping)
    def table_by_name(kind: Any) -> Callable[[Any, Any], Any]:
        (_, item) = get_args(kind)
        many: Any = dict.__class_getitem__((str, item))

        def structure(value: Any, _: Any) -> Any:
            if not isinstance(value, dict):
                raise BadValue(f"must be a table, not {value!r}")
            return converter.structure(value, many)

        return structure

    @converter.register_structure_hook_factory(_is_tuple)
    def list_of(kind: Any) -> Callable[[Any, Any], Any]:
        (item, _) = get_args(kind)

        def structure(value: Any, _: Any) -> Any:
            if not isinstance(value, list):
                raise BadValue(f"must be a list, not {value!r}")
            many: Any = list.__class_getitem__(item)
            return tuple(converter.structure(value, many))

        return structure

    @converter.register_structure_hook_factory(attrs.has)
    def table_of(kind: Any) -> Callable[[Any, Any], Any]:
        inner = converter.gen_structure_attrs_fromdict(kind)
        of_text = getattr(kind, "of_text", None)  # a table that may be a text alone

        def structure(value: Any, _: Any) -> Any:
            if of_text is not None and isinstance(value, str):
                return of_text(value)
            if not isinstance(value, dict):
                raise BadValue(f"must be a table, not {value!r}")
            return inner(value, kind)

        return structure

    return converter


def structure(value: object, kind: type[T], key: str, problems: list[Problem]) -> T | None:
    """`value` as a frozen `kind`; or None, with everything that is wrong added to `problems`."""
    try:
        # A converter caches per class and is cheap to make: no state outlives the call.
        return _make_converter().structure(value, kind)
    except Exception as error:
        problems.extend(_problems(error, key))
        return None


def _problems(error: BaseException, key: str) -> Iterator[Problem]:
    match error:
        case ClassValidationError() | IterableValidationError():
            noted, bare = error.group_exceptions()
            for inner, note in noted:
                name = note.name if hasattr(note, "name") else note.index
                missing = isinstance(inner, KeyError)  # the error names the key, and so does the note
                place = key if missing else f"{key}[{name}]" if isinstance(name, int) else f"{key}.{name}"
                yield from _problems(inner, place)
            for inner in bare:
                yield from _problems(inner, key)
        case ForbiddenExtraKeysError():
            valid = [field.name for field in attrs.fields(error.cl)]
            for name in sorted(error.extra_fields):
                yield Problem(f"{key}.{name}", "unknown key", nearest(name, valid))
        case KeyError():
            yield Problem(f"{key}.{error.args[0]}", "is missing")
        case BadValue():
            yield Problem(key, str(error), error.hint)
        case _:
            yield Problem(key, str(error))
