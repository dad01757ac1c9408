"""Configuration files: TOML parsed once, at the edge, into frozen specs. Nothing above sees a dict.

- `_errors`: all problems of a file at once, each with its key path and the nearest valid word
- `_values`, `_tables`: strict types, durations, the tables as data
- `_toml`: files and values, in and out
- `_starts`, `_http`: what a file refers to
- `_agent_tables`, `_schema`, `_layers`, `_findings`: agent files as data, from all places
- `_secrets`, `_model`, `_toolset`, `_show`, `_agent`: an agent file into the spec of an agent
- `_faults`, `_processes`, `_tree_sets`, `_agents`: the children of a tree
- `_tree`, `_outline`: `tree.toml` into the spec of the root supervisor, and into a drawing
- `_load`: either of them
"""

from ._agent import AgentFile, load_agent
from ._agent_tables import MemoryTable, ThinkTable
from ._errors import ConfigError, Problem
from ._http import HttpOk
from ._load import load_config
from ._outline import notes, outline
from ._show import Setting, tree_settings
from ._tree import Tree, load_tree
from ._values import BadValue, Duration, parse_duration

__all__ = [
    "AgentFile",
    "BadValue",
    "ConfigError",
    "Duration",
    "HttpOk",
    "MemoryTable",
    "Problem",
    "Setting",
    "ThinkTable",
    "Tree",
    "load_agent",
    "load_config",
    "load_tree",
    "notes",
    "outline",
    "parse_duration",
    "tree_settings",
]
