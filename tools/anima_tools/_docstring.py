"""What a docstring says about a function and its parameters, in the style of Google."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns?|Raises|Yields?|Examples?|Notes?|Attributes):\s*$")
_PARAMETERS = {"Args", "Arguments", "Parameters"}
_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")


def parse_docstring(text: str | None) -> tuple[str, dict[str, str]]:
    """The description, which is all before the first section, and the texts of the parameters by name."""
    before: list[str] = []
    sections: dict[str, list[str]] = {}
    current = before
    for line in inspect.cleandoc(text or "").splitlines():
        if found := _SECTION.match(line):
            current = sections.setdefault(found[1], [])
        else:
            current.append(line)
    parameters: dict[str, str] = {}
    for title in _PARAMETERS & sections.keys():
        parameters |= _entries(sections[title])
    return "\n".join(before).strip(), parameters


def _entries(lines: list[str]) -> dict[str, str]:
    """`name: text`, or `name (type): text`; lines that are further in go on with the entry above them."""
    entries: dict[str, str] = {}
    name = indent = None
    for line in inspect.cleandoc("\n" + "\n".join(lines)).splitlines():
        depth = len(line) - len(line.lstrip())
        entry = _ENTRY.match(line.strip())
        if entry and (indent is None or depth <= indent):
            name, indent = entry[1], depth
            entries[name] = entry[2]
        elif name is not None and line.strip():
            entries[name] = f"{entries[name]} {line.strip()}".strip()
    return entries
