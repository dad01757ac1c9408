"""Configuration files for commands: read, or the end of the command with all that is wrong with them."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import click

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
