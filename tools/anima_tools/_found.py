"""Tools by name: those that installed packages bring, and those of a module."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._errors import BadTool, UnknownTool
from ._tool import Tool
from ._toolbox import THREADS, Toolbox

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: A package makes a tool known by an entry point of this group; the built-in ones are made known in the same way.
GROUP = "anima.tools"


def find_tools(names: Iterable[str], *, threads: int = THREADS) -> Toolbox:
    """A toolbox with the tools of these names: entry points of the group `anima.tools`, or `module:name`.

    Only what is named is imported. No names: no tools. Raises `UnknownTool` with the nearest name, and `BadTool` for
    what is found but is no tool, or cannot be imported.
    """
    installed = _installed()
    tools = [_module_tool(name) if ":" in name else _installed_tool(name, installed) for name in names]
    return Toolbox(tools, threads=threads)


def _installed() -> dict[str, list[EntryPoint]]:
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        same = found.setdefault(point.name, [])
        if point.value not in [other.value for other in same]:
            same.append(point)
    return found


def _installed_tool(name: str, installed: dict[str, list[EntryPoint]]) -> Tool:
    if name not in installed:
        raise UnknownTool(name, installed)
    first, *others = installed[name]
    if others:
        values = " and ".join(point.value for point in installed[name])
        raise BadTool(f"the tool {name!r} is brought by {values}; name one of them in that way")
    return _module_tool(first.value)


def _module_tool(reference: str) -> Tool:
    module_name, _, path = reference.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise BadTool(f"the tool {reference!r} cannot be imported: {error}") from error
        raise UnknownTool(reference, (), f"there is no module {error.name!r}") from None
    except Exception as error:
        raise BadTool(f"the tool {reference!r} cannot be imported: {type(error).__name__}: {error}") from error
    tools = [f"{module_name}:{name}" for name, value in vars(found).items() if isinstance(value, Tool)]
    for part in path.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise UnknownTool(reference, tools) from None
    if not isinstance(found, Tool):
        raise BadTool(f"{reference!r} is no tool but {type(found).__name__}; put @tool above the function")
    return found
