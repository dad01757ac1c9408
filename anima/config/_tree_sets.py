"""`--set` for tree files: into their own tables, and into what their agents are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from ._agent_tables import AgentFileTable, JournalTable
from ._errors import Problem, nearest
from ._layers import Layer, set_layer
from ._schema import fields_of, kind_of
from ._tables import SECTIONS

#: What of an agent's place stands in its own tables, not in that of a child, nor in those of the whole tree.
AGENT_SECTIONS = tuple(name for name in fields_of(AgentFileTable) if name not in ("home", "journal"))


class TreeSets:
    """The data of a tree file with what is set in it; and the layers of its agents, by their names."""

    def __init__(self, sets: Sequence[str], data: Mapping[str, Any]) -> None:
        self.data = dict(data)
        self.layers: dict[str, list[Layer]] = {}
        self.problems: list[Problem] = []
        self._keys: list[str] = []
        for text in sets:
            layer = set_layer(text, self.problems, _kind)
            if layer is not None:
                self._add(layer)

    def has(self, key: str) -> bool:
        """Whether a key of the tree's own is set."""
        return key in self._keys

    def told(self, problem: Problem) -> Problem:
        """The problem, which says so where its value was set."""
        mine = any(problem.key == key or problem.key.startswith((f"{key}.", f"{key}[")) for key in self._keys)
        return attrs.evolve(problem, what=f"{problem.what}, from --set") if mine and problem.file is None else problem

    def _add(self, layer: Layer) -> None:
        path, value = _only(layer.data)
        if path[0] == "agents" and len(path) > 2 and path[2] in AGENT_SECTIONS:
            agents = self.data.get("agents", {})
            if not isinstance(agents, dict) or path[1] not in agents:
                hint = nearest(path[1], agents) if isinstance(agents, dict) else None
                self.problems.append(Problem(".".join(path), f"there is no agent {path[1]!r}, from --set", hint))
                return
            inner = attrs.evolve(layer, data=layer.data["agents"][path[1]], prefix=f"agents.{path[1]}.")
            self.layers.setdefault(path[1], []).append(inner)
            return
        self._keys.append(".".join(path))
        if path == ("home",) and isinstance(value, str):
            value = str(Path.cwd() / value)
        self.data = _with(self.data, path, value)


def _kind(path: tuple[str, ...]) -> Any:
    """The kind of the value at a key path of a tree file."""
    section, *rest = path
    if not rest:
        return {"root": str, "home": Path}.get(section)
    if section == "journal":
        return kind_of(rest, JournalTable)
    if section == "agents" and len(rest) > 1 and rest[1] in AGENT_SECTIONS:
        return kind_of(rest[1:])
    return kind_of(rest[1:], SECTIONS[section]) if section in SECTIONS else None


def _only(data: Mapping[str, Any]) -> tuple[tuple[str, ...], Any]:
    """The one path in the data of a set, and its value."""
    path: list[str] = []
    value: Any = data
    while isinstance(value, Mapping) and len(value) == 1:
        [(name, value)] = value.items()
        path.append(name)
    return tuple(path), value


def _with(data: Mapping[str, Any], path: Sequence[str], value: Any) -> dict[str, Any]:
    """The data with another value at a path."""
    for number in range(len(path) - 1, -1, -1):
        above: Any = data
        for name in path[:number]:
            above = above.get(name) if isinstance(above, Mapping) else None
        value = {**(above if isinstance(above, Mapping) else {}), path[number]: value}
    return dict(value)
