"""`start = "module:name"`: finding the callable, and whether its arguments fit, before anything runs."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from anima.actors import Actor
from anima_supervisors import given_parameters

from ._errors import Problem, nearest


def put_on_path(folder: Path) -> None:
    """Let `start` find modules beside the tree file, before all others."""
    entry = str(folder.resolve())
    if sys.path[:1] != [entry]:
        sys.path[:] = [entry, *(other for other in sys.path if other != entry)]


def find_start(start: str, args: Mapping[str, Any] | None, key: str, problems: list[Problem]) -> Any:
    """The callable with its arguments bound; or None, with what is wrong added to `problems`.

    Without `args`, which could not be read, they are not looked at.
    """
    found = find_named(start, f"{key}.start", problems, _can_start)
    if found is None:
        return None
    plain = inspect.isroutine(found) and not inspect.iscoroutinefunction(found)
    if plain or isinstance(found, type) or not callable(found):
        problems.append(Problem(f"{key}.start", f"{start} must be an async function, not {type(found).__name__}"))
        return None
    return found if args is None else _bind(found, start, args, key, problems)


def find_actor(start: str, args: Mapping[str, Any] | None, key: str, problems: list[Problem]) -> Any:
    """The actor class with its arguments bound; or None, with what is wrong added to `problems`."""
    found = find_named(start, f"{key}.start", problems, _can_start)
    if found is None:
        return None
    if not (isinstance(found, type) and issubclass(found, Actor)):
        problems.append(Problem(f"{key}.start", f"{start} is no subclass of anima.actors.Actor"))
        return None
    return found if args is None else _bind(found, start, args, key, problems)


def _bind(found: Any, start: str, args: Mapping[str, Any], key: str, problems: list[Problem]) -> Any:
    signature = inspect.signature(found)
    given = frozenset() if isinstance(found, type) else given_parameters(found)
    named = [name for name, p in signature.parameters.items() if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values()):
        unknown = [name for name in args if name not in named]
        for name in sorted(given & args.keys()):
            problems.append(Problem(f"{key}.args.{name}", "is given by the supervisor"))
            unknown.append(name)
        for name in [name for name in unknown if name not in given]:
            what = f"{start} has no argument {name!r}"
            problems.append(Problem(f"{key}.args.{name}", what, nearest(name, set(named) - given)))
        if unknown:
            return None
    try:
        signature.bind(**dict.fromkeys(given), **args)
    except TypeError as error:
        problems.append(Problem(f"{key}.args", f"do not fit {start}: {error}"))
        return None
    return functools.partial(found, **args) if args else found


def find_class(name: str, key: str, problems: list[Problem]) -> Any:
    """The class that `module:Class` means; or None, with what is wrong added to `problems`."""
    found = find_named(name, key, problems, lambda value: isinstance(value, type))
    if found is not None and not isinstance(found, type):
        problems.append(Problem(key, f"{name} must be a class, not {type(found).__name__}"))
        return None
    return found


def find_named(start: str, key: str, problems: list[Problem], wanted: Callable[[object], bool]) -> Any:
    """What `module:name` means, with the nearest name of what is `wanted` where there is no such thing."""
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
            there = vars(found) if hasattr(found, "__dict__") else {}
            valid = [word for word, value in there.items() if wanted(value)]
            problems.append(Problem(key, f"{module_name} has no {name!r}", nearest(part, valid)))
            return None
        found = getattr(found, part)
    return found


def _can_start(value: object) -> bool:
    return inspect.iscoroutinefunction(value) or (isinstance(value, type) and issubclass(value, Actor))
