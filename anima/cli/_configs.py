"""Configuration files for commands: read, or the end of the command with all that is wrong with them."""

from __future__ import annotations

import functools
import shlex
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeAlias, TypeVar

import click

from anima.agents import AgentSpec
from anima.config import AgentFile, ConfigError, Tree, load_config

from ._signals import INTERRUPTED

T = TypeVar("T")
#: What a configuration describes.
Config: TypeAlias = AgentFile | Tree

FILE = click.argument("file", type=click.Path(path_type=Path), metavar="CONFIG")
SETS = click.option(
    "--set", "sets", multiple=True, metavar="KEY=VALUE", help="Set a key of the file, like llm.model=gpt-5."
)

#: The exit status of a configuration that cannot be used.
BAD_CONFIGURATION = 2
#: The root that the agent of a file stands below.
HOME = "home"


def read_config(file: Path, sets: tuple[str, ...] = ()) -> Config:
    """An agent's file or a tree. Ends the program with status 2, and all that is wrong on stderr, if it is neither."""
    try:
        return load_config(file, sets=sets)
    except ConfigError as error:
        complain(file, error.problems)
    except KeyboardInterrupt:
        click.echo("anima: interrupted; nothing was started", err=True)
        sys.exit(INTERRUPTED)


def configured(command: Callable[..., T]) -> Callable[..., T]:
    """Give a command CONFIG and --set; it is called with what these describe first."""

    @functools.wraps(command)
    def read_first(*, file: Path, sets: tuple[str, ...], **more: Any) -> T:
        return command(read_config(file, sets), **more)

    return FILE(SETS(read_first))


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


def agent_spec(config: Config, agent: str | None) -> AgentSpec:
    """What the agent that is meant is made of; the end of the program where none is."""
    return spec_at(config, whole_path(config, agent))


def whole_path(config: Config, agent: str | None) -> str:
    """The path of the agent that is meant; the end of the program where none is."""
    if isinstance(config, Tree):
        try:
            return agent_path(config, agent)
        except NoSuchAgent as error:
            complain(config.file, [error])
    if agent is not None:
        complain(config.file, ["--agent is for trees: this is the file of one agent"])
    return f"{HOME}/{config.spec.name}"


def spec_at(config: Config, path: str) -> AgentSpec:
    """What the agent at a path is made of; of one that another one has started, that one. Raises `LookupError`."""
    if not isinstance(config, Tree):
        return config.spec
    above = [one for one in config.agents if path == one or path.startswith(f"{one}/")]
    if not above:
        raise LookupError(path)
    return config.agents[above[0]].spec


def resume_command(file: Path, sets: tuple[str, ...], id: str) -> str:
    """What goes on with a run, to be typed."""
    return shlex.join(["anima", "runs", "resume", str(file), id, *(word for one in sets for word in ("--set", one))])
