"""A configuration file of either kind: an agent, or a tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ._agent import AgentFile, is_tree, load_agent
from ._toml import read_toml
from ._tree import Tree, load_tree


def load_config(file: Path, *, sets: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> AgentFile | Tree:
    """What the file describes: see `load_agent` and `load_tree`. A tree has a root, or supervisors.

    Blocks: reads files and runs imports. Raises `ConfigError` with everything that is wrong.
    """
    data, _ = read_toml(file)
    load = load_tree if is_tree(data) else load_agent
    return load(file, sets=sets, environ=environ)
