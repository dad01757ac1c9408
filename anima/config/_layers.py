"""Where the values of an agent come from: files, the environment, `--set`; the later one wins, key by key."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import attrs

from ._agent_tables import AgentFileTable
from ._errors import Problem, nearest
from ._schema import fields_of, is_table, kind_of, setting_paths
from ._toml import lines_of_keys, parse_path, parse_value, read_toml
from ._values import Duration, Size

#: Environment variables of this prefix are settings: ANIMA_LLM_MODEL is `llm.model`.
PREFIX = "ANIMA_"


@attrs.frozen(eq=False)
class Layer:
    """Values from one place. `prefix` is the key of the table that they stand in, `folder` what paths are relative to.

    `file` and `lines` are those of values from a file.
    """

    origin: str
    folder: Path
    data: Mapping[str, Any]
    file: Path | None = None
    prefix: str = ""
    lines: Mapping[str, int] = attrs.field(factory=dict)

    def where(self, key: str) -> str:
        """The origin of the value of `key`, with its line where it is known."""
        while key:  # what stands in an inline table has the line of that
            name = f"{self.prefix}{key}"
            line = self.lines.get(name) or self.lines.get(f"{name}_ms")
            if line is not None:
                return f"{self.origin}:{line}"
            key = key.rpartition(".")[0]
        return self.origin

    def problem(self, key: str, what: str, hint: str | None = None) -> Problem:
        """What is wrong with a value of this layer."""
        if self.file is None:
            return Problem(f"{self.prefix}{key}", f"{what}, from {self.origin}", hint)
        return Problem(f"{self.prefix}{key}", what, hint, self.file)


def file_layer(file: Path) -> Layer:
    """Blocks on the disk. Raises `ConfigError`."""
    data, text = read_toml(file)
    return Layer(str(file), file.parent, data, file, lines=lines_of_keys(text))


def environment_layers(
    environ: Mapping[str, str], problems: list[Problem], *, without: Iterable[str] = ()
) -> list[Layer]:
    """One layer for each variable that is a setting. Those of the sections `without` are left alone."""
    names = {PREFIX + "_".join(path).upper(): path for path in setting_paths()}
    sections = tuple(f"{PREFIX}{name.upper()}_" for name, kind in fields_of(AgentFileTable).items() if is_table(kind))
    apart = tuple(f"{PREFIX}{section.upper()}" for section in without)
    layers = []
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or (apart and name.startswith(apart)):
            continue
        if name in names:
            path = names[name]
            layers.append(_layer(f"environment {name}", path, _typed(text, kind_of(path))))
        elif name.startswith(sections):
            problems.append(Problem(name, "no such setting, from the environment", nearest(name, names)))
    return layers


def set_layer(text: str, problems: list[Problem], kind: Callable[[tuple[str, ...]], Any] = kind_of) -> Layer | None:
    """The layer of one `--set a.b=c`; None, with a problem, if it is not written like that."""
    key, equals, value = text.partition("=")
    path = parse_path(key) if equals else None
    if path is None:
        problems.append(Problem("--set", f"must be KEY=VALUE, like llm.model=NAME, not {text!r}"))
        return None
    return _layer("--set", path, _typed(value, kind(path)))


def _layer(origin: str, path: tuple[str, ...], value: Any) -> Layer:
    for name in reversed(path):
        value = {name: value}
    return Layer(origin, Path.cwd(), value)


def _typed(text: str, kind: Any) -> Any:
    """The value that a text means: where a text is wanted, it needs no quotes."""
    wants_text = (
        kind is not None and isinstance(kind, type) and issubclass(kind, str | Duration | Size | Path | enum.Enum)
    )
    if wants_text and text[:1] not in ('"', "'"):
        return text
    return parse_value(text)


# All of them together


@attrs.define
class Layered:
    """The values of several layers as one table, and where each is from."""

    data: dict[str, Any]
    places: dict[str, Layer]
    first: Layer

    def place(self, key: str) -> Layer | None:
        """Where the value of a key, or else the table that it should stand in, is from."""
        while key and key not in self.places:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return self.places.get(key)

    def problem(self, key: str, what: str, hint: str | None = None) -> Problem:
        """What is wrong with the value of a key, told of the place that it is from."""
        return (self.place(key) or self.first).problem(key, what, hint)


def layered(layers: Sequence[Layer], first: Layer, problems: list[Problem]) -> Layered:
    """The layers, the later ones on top. What is wrong with a single one of them is added to `problems`.

    What is missing is told as a problem of `first`.
    """
    result = Layered({}, {}, first)
    for layer in layers:
        _lay(result, result.data, _plain(layer, layer.data, AgentFileTable, "", problems), layer, (), AgentFileTable)
    return result


def _lay(
    result: Layered, onto: dict[str, Any], data: Mapping[str, Any], layer: Layer, path: tuple[str, ...], table: Any
) -> None:
    kinds = fields_of(table) if is_table(table) else {}
    for name, value in data.items():
        key, kind = ".".join((*path, name)), kinds.get(name)
        if not (isinstance(value, dict) and (is_table(kind) or get_origin(kind) is Mapping)):
            onto[name] = value
            result.places[key] = layer
            continue
        if not isinstance(onto.get(name), dict):
            onto[name] = {}
            result.places[key] = layer
        _lay(result, onto[name], value, layer, (*path, name), kind)


def _plain(layer: Layer, data: Any, kind: Any, key: str, problems: list[Problem]) -> Any:
    """The data with durations as texts, where they were given in milliseconds, and with paths as absolute ones."""
    if kind is Path and isinstance(data, str):
        return str(layer.folder.absolute() / data)
    if get_origin(kind) is tuple and isinstance(data, list):
        return [_plain(layer, one, get_args(kind)[0], f"{key}[{n}]", problems) for n, one in enumerate(data)]
    if not (is_table(kind) and isinstance(data, dict)):
        return data
    kinds = fields_of(kind)
    found: dict[str, Any] = {}
    for name, value in data.items():
        inner, full = f"{key}.{name}" if key else name, name.removesuffix("_ms")
        if name not in kinds and name.endswith("_ms") and _is_duration(kinds.get(full)):
            if full in data:
                problems.append(layer.problem(inner, f"stands beside {full}, which means the same; write one of them"))
            elif type(value) is not int or not 0 <= value < 10**15:
                problems.append(layer.problem(inner, f"must be a whole number of milliseconds, not {value!r}"))
            else:
                found[full] = f"{value}ms"
        else:
            found[name] = _plain(layer, value, kinds.get(name), inner, problems)
    return found


def _is_duration(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Duration)
