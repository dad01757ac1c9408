"""TOML in and out: a file as plain data, a value from a command line, a value as text."""

from __future__ import annotations

import enum
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from ._errors import ConfigError, Problem
from ._values import Duration, Size

#: No configuration has more bytes than this.
LARGEST = 4 << 20

_HEADER = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"\s*([\w.-]+)\s*=")


def read_toml(file: Path) -> tuple[dict[str, Any], str]:
    """What a file says, and its text. Blocks on the disk. Raises `ConfigError`."""
    try:
        if file.exists() and not file.is_file() and not file.is_dir():
            raise ConfigError(file, [Problem("", "is no file: a pipe or a device cannot be read here")])
        if file.is_file() and file.stat().st_size > LARGEST:
            raise ConfigError(file, [Problem("", f"is larger than {LARGEST >> 20} MiB: that is no configuration")])
        text = file.read_text(encoding="utf-8-sig")
        return tomllib.loads(text), text
    except OSError as error:
        raise ConfigError(file, [Problem("", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError(file, [Problem("", "is not a text in UTF-8")]) from None
    except (ValueError, RecursionError) as error:  # also what Python does not read: endless numbers, bottomless lists
        raise ConfigError(file, [Problem("", f"is not valid TOML: {error}")]) from None


def lines_of_keys(text: str) -> dict[str, int]:
    """The line in which each key stands, by its path. A reading by eye: it knows no quoted keys and no inner tables."""
    found: dict[str, int] = {}
    table, quote = "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if quote:  # inside a text of several lines
            quote = "" if quote in line else quote
            continue
        if header := _HEADER.match(line):
            table = header[1]
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault(f"{table}.{key[1]}" if table else key[1], number)
        quote = next((mark for mark in ('"""', "'''") if line.count(mark) % 2), "")
    return found


def parse_path(text: str) -> tuple[str, ...] | None:
    """The parts of a dotted key; None if it is none."""
    try:
        found: Any = tomllib.loads(f"{text} = 0")
    except (ValueError, RecursionError):
        return None
    path: list[str] = []
    while isinstance(found, dict):
        if len(found) != 1:
            return None
        [(name, found)] = found.items()
        path.append(name)
    return tuple(path) if path and found == 0 and type(found) is int else None


def parse_value(text: str) -> Any:
    """A value of TOML; a text that is none is taken as it is."""
    try:
        found = tomllib.loads(f"x = {text}")
    except (ValueError, RecursionError):
        return text
    return found["x"] if found.keys() == {"x"} else text


def as_toml(value: object) -> str:
    """A value of a table as one writes it. What is not set is `none`."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case Duration():
            return f'"{_duration(value)}"'
        case Size():
            return f'"{_size(value)}"'
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case enum.Enum():
            return json.dumps(value.value)
        case int() | float():
            return repr(value + 0)
        case Mapping():
            return _table(value)
        case list() | tuple():
            return f"[{', '.join(map(as_toml, value))}]"
        case _ if attrs.has(type(value)):
            kind: Any = type(value)
            fields = attrs.fields(kind)
            given = [(field.name, getattr(value, field.name), field.default) for field in fields]
            return _table({name: one for name, one, default in given if one != default})
        case _:
            return str(value)


def _duration(value: Duration) -> str:
    seconds = float(value)
    for unit, factor in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        if seconds >= factor and seconds % factor == 0:
            return f"{seconds / factor:.15g}{unit}"
    return f"{seconds:.15g}s" if seconds >= 1 or seconds == 0 else f"{seconds * 1000:.15g}ms"


def _size(value: Size) -> str:
    units = (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10))
    return next((f"{value >> bits}{unit}" for unit, bits in units if value and value % (1 << bits) == 0), f"{value:d}B")


def _table(values: Mapping[str, object]) -> str:
    inner = ", ".join(f"{_key(name)} = {as_toml(value)}" for name, value in values.items() if value is not None)
    return f"{{ {inner} }}" if inner else "{}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
