"""The reference of the keys of agent files, made from the tables: see `docs/configuration.md`."""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

import attrs

from ._agent_tables import AgentFileTable
from ._schema import fields_of, is_table
from ._toml import as_toml
from ._values import Amount, Count, Duration, Natural, Positive, Size, Span

#: What stands below this line in the document is made.
MARK = "<!-- Below this line everything is made by anima.config._reference; CONTRIBUTING.md says how. -->"

_KEY = re.compile(r"(\w+): (.*)")
_WORDS: Mapping[Any, str] = {
    str: "text",
    Path: "path",
    bool: "`true`, `false`",
    int: "whole number",
    float: "number",
    Count: "whole number, 1 or more",
    Natural: "whole number, 0 or more",
    Positive: "number above 0",
    Amount: "number, 0 or more",
    Duration: "duration",
    Span: "duration above 0",
    Size: "size",
}


def reference() -> str:
    """Every key of an agent file in Markdown: a table for each section."""
    return "\n".join(_document())


def refresh(document: str | Path) -> None:
    """Write what is made anew into the document. Blocks on the disk."""
    file = Path(document)
    text = file.read_text(encoding="utf-8").partition(MARK)[0]
    file.write_text(f"{text}{MARK}\n\n{reference()}", encoding="utf-8")


def described(table: type) -> tuple[str, dict[str, str]]:
    """What the docstring of a table says of it, and of each of its keys."""
    texts: dict[str, str] = {}
    about: list[str] = []
    key = None
    for line in (inspect.getdoc(table) or "").splitlines():
        if key is not None and line.startswith(" "):
            texts[key] += f" {line.strip()}"
        elif found := _KEY.fullmatch(line):
            key = found[1]
            texts[key] = found[2]
        else:
            about.append(line)
    return " ".join(filter(None, about)), texts


def _document() -> Iterator[str]:
    kinds = fields_of(AgentFileTable)
    yield "## At the top\n"
    yield from _table(AgentFileTable, [name for name, kind in kinds.items() if not is_table(kind)])
    for name, kind in kinds.items():
        if is_table(kind):
            yield f"## `[{name}]`\n\n{described(kind)[0]}\n"
            yield from _table(kind, list(fields_of(kind)))


def _table(table: type, names: list[str]) -> Iterator[str]:
    yield "| key | | default | |\n| --- | --- | --- | --- |"
    yield from _rows(table, names, "")
    yield ""


def _rows(table: Any, names: list[str], above: str) -> Iterator[str]:
    kinds, texts = fields_of(table), described(table)[1]
    fields = attrs.fields_dict(table)
    for name in names:
        if is_table(kinds[name]):
            yield f"| `{above}{name}` | table | | {texts[name]} |"
            yield from _rows(kinds[name], list(fields_of(kinds[name])), f"{above}{name}.")
        else:
            yield f"| `{above}{name}` | {_kind(kinds[name])} | {_default(fields[name])} | {texts[name]} |"


def _kind(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "list of texts" if get_args(kind)[0] is str else "list"
    if get_origin(kind) is Mapping:
        return "table of tables" if is_table(get_args(kind)[1]) else "table of texts"
    if issubclass(kind, enum.Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    return _WORDS[kind]


def _default(field: Any) -> str:
    default = field.default
    if default is attrs.NOTHING:
        return "(required)"
    if isinstance(default, attrs.Factory):  # type: ignore[arg-type]  # a class that attrs says is a function
        default = default.factory()
    return "" if default is None or default == "" else f"`{as_toml(default)}`"
