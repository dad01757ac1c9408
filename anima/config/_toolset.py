"""`[tools]`: from names to tools, and to what they may touch."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from importlib.metadata import entry_points
from pathlib import Path

import attrs

from anima.agents import MEMORY_TOOLS, TALK_TOOLS
from anima_tools import BadTool, Tool, Toolbox, UnknownTool, Workspace, child_environment, find_tools

from ._agent_tables import ToolsTable
from ._errors import nearest
from ._findings import Findings
from ._secrets import Secrets
from ._starts import put_on_path


@attrs.frozen
class Toolset:
    """The tools of one agent: those that are functions, those by which it talks, and those over its memory."""

    toolbox: Toolbox
    talk: frozenset[str]
    memory: frozenset[str]


def build_toolset(table: ToolsTable, folders: Iterable[Path], findings: Findings) -> Toolset:
    """What is enabled and not denied. Imports the modules of the tools, also from these `folders`, the last one first.

    What is wrong is added to `findings`.
    """
    installed = {point.name for point in entry_points(group="anima.tools")}
    own = {*TALK_TOOLS, *MEMORY_TOOLS}
    known = installed | own
    for folder in folders:
        put_on_path(folder)
    tools: dict[str, Tool] = {}
    chosen: set[str] = set()
    for number, name in enumerate(table.enabled):
        key = f"tools.enabled[{number}]"
        if name in table.enabled[:number]:
            findings.problem(key, f"{name!r} is named twice")
        elif name in own:
            chosen.add(name)
        elif ":" not in name and name not in installed:
            findings.problem(key, f"there is no tool {name!r}", nearest(name, known) or "your own is module:name")
        elif (tool := _found(name, key, findings)) is not None:
            if tool.name in own or tool.name in {other.name for other in tools.values()}:
                findings.problem(key, f"there is a tool {tool.name!r} already; give it another name: tool(name=...)")
            else:
                tools[name] = tool
    for number, name in enumerate(table.deny):
        valid = known | set(table.enabled) | {tool.name for tool in tools.values()}
        if name not in valid:
            findings.problem(f"tools.deny[{number}]", f"there is no tool {name!r}", nearest(name, valid))
    denied = set(table.deny)
    allowed = [tool for name, tool in tools.items() if not denied & {name, tool.name}]
    chosen -= denied
    return Toolset(Toolbox(allowed), frozenset(chosen & {*TALK_TOOLS}), frozenset(chosen & {*MEMORY_TOOLS}))


def _found(name: str, key: str, findings: Findings) -> Tool | None:
    try:
        [tool] = find_tools([name])
    except (UnknownTool, BadTool) as error:
        findings.problem(key, str(error))
        return None
    except SystemExit as error:  # what a module does when it is imported is its own affair
        findings.problem(key, f"{name} cannot be imported: SystemExit: {error}")
        return None
    return tool


def build_workspace(
    table: ToolsTable, root: Path, outputs: Path, environ: Mapping[str, str], secrets: Secrets, findings: Findings
) -> Workspace:
    """What the tools may touch: `root`, and an environment without secrets."""
    if not os.path.isdir(root):
        findings.problem("tools.root", f"there is no folder {root}")
    for number, host in enumerate(table.allow_hosts):
        if not host or "/" in host or not host.isprintable() or " " in host:
            findings.problem(f"tools.allow_hosts[{number}]", f"must be a host, or host:port, not {host!r}")
    for number, name in enumerate(table.keep_env):
        if name in secrets.names:
            findings.problem(f"tools.keep_env[{number}]", f"{name} holds a key, which no command is given")
    env = child_environment(environ, keep=table.keep_env, secrets=secrets.names)
    return Workspace(root, outputs, table.allow_private, [*table.allow_hosts], env)
