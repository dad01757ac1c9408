"""Configuration files: TOML parsed once, at the edge, into frozen specs. Nothing above sees a dict.

- `_errors`: all problems of a file at once, each with its key path and the nearest valid word
- `_values`, `_tables`: strict types, durations, the tables as data
- `_starts`, `_http`: what a file refers to
- `_tree`, `_outline`: `tree.toml` into the spec of the root supervisor, and into a drawing
"""

from ._errors import ConfigError, Problem
from ._http import HttpOk
from ._outline import notes, outline
from ._tree import Tree, load_tree
from ._values import BadValue, Duration, parse_duration

__all__ = [
    "BadValue",
    "ConfigError",
    "Duration",
    "HttpOk",
    "Problem",
    "Tree",
    "load_tree",
    "notes",
    "outline",
    "parse_duration",
]
