"""Configuration files for commands: read, or the end of the command with all that is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import click

from anima.agents import AgentSpec
from anima.config import AgentFile, ConfigError, Tree, load_config

from ._signals import INTERRUPTED

#: The exit status of a configuration that cannot be used.
BAD_CONFIGURATION = 2


def read_config(file: Path, sets: tuple[str, ...] = ()) -> AgentFile | Tree:
    """An agent's file or a tree. Ends the program with status 2, and all that is wrong on stderr, if it is neither."""
    try:
        return load_config(file, sets=sets)
    except ConfigError as error:
        complain(file, error.problems)
    except KeyboardInterrupt:
        click.echo("anima: interrupted; nothing was started", err=True)
        sys.exit(INTERRUPTED)


def complain(file: Path, problems: Iterable[object]) -> NoReturn:
    """End the program: a configuration cannot be used."""
    click.echo(f"anima: {file} cannot be used:", err=True)
    for problem in problems:
        click.echo(f"  {problem}", err=True)
    sys.exit(BAD_CONFIGURATION)


class NoSuchAgent(Exception):
    """A tree has no agent of this name, or several; the text says which there are."""


def agent_path(tree: Tree, agent: str | None) -> str:
    """The path of the agent that is meant. Without a name it is the only one. Raises `NoSuchAgent`."""
    paths = sorted(tree.agents)
    known = ", ".join(paths) or "none"
    if agent is None:
        if len(paths) == 1:
            return paths[0]
        raise NoSuchAgent(f"say which agent is asked, by --agent NAME; there are: {known}")
    found = [path for path in paths if path == agent or path.endswith(f"/{agent}")]
    if len(found) != 1:
        why = "there is no agent" if not found else "there are several agents"
        raise NoSuchAgent(f"{why} {agent!r}; there are: {known}")
    return found[0]


def agent_spec(file: Path, config: AgentFile | Tree, agent: str | None) -> AgentSpec:
    """What the agent that is meant is made of; the end of the program where none is."""
    if isinstance(config, Tree):
        try:
            return config.agents[agent_path(config, agent)].spec
        except NoSuchAgent as error:
            complain(file, [error])
    if agent is not None:
        complain(file, ["--agent is for trees: this is the file of one agent"])
    return config.spec
