"""`start = "module:name"`: finding the callable, and whether its arguments fit, before anything runs."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anima_supervisors import given_parameters

from ._errors import Problem, nearest


def put_on_path(folder: Path) -> None:
    """Let `start` find modules beside the tree file, before all others."""
    entry = str(folder.resolve())
    if entry not in sys.path:
        sys.path.insert(0, entry)


def find_start(start: str, args: Mapping[str, Any], key: str, problems: list[Problem]) -> Any:
    """The callable with its arguments bound; or None, with what is wrong added to `problems`."""
    found = _import(start, f"{key}.start", problems)
    if found is None:
        return None
    if not callable(found) or (inspect.isfunction(found) and not inspect.iscoroutinefunction(found)):
        problems.append(Problem(f"{key}.start", f"{start} must be an async function, not {type(found).__name__}"))
        return None
    try:
        inspect.signature(found).bind(**dict.fromkeys(given_parameters(found)), **args)
    except (TypeError, ValueError) as error:
        problems.append(Problem(f"{key}.args", f"do not fit {start}: {error}"))
        return None
    return functools.partial(found, **args) if args else found


def _import(start: str, key: str, problems: list[Problem]) -> Any:
    module_name, colon, name = start.partition(":")
    if not (colon and module_name and name):
        problems.append(Problem(key, f"must be 'module:name', not {start!r}"))
        return None
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # what a module does when it is imported is its own affair
        problems.append(Problem(key, f"cannot import {module_name}: {type(error).__name__}: {error}"))
        return None
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            valid = [word for word in vars(found) if not word.startswith("_")] if hasattr(found, "__dict__") else []
            problems.append(Problem(key, f"{module_name} has no {name!r}", nearest(part, valid)))
            return None
        found = getattr(found, part)
    return found
