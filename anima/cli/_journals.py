"""The journal of a configuration, for commands that look at it or change it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

import click
import trio

from anima.agents import JOURNAL, Run, UnreadableRecord, journal_file, list_runs
from anima.store import Store, StoreError, open_store

from ._configs import Config
from ._session import home_name

T = TypeVar("T")


def file_of(config: Config) -> Path:
    """Where its journal is, or will be."""
    return journal_file(config.home, home_name(config))


def in_journal(config: Config, work: Callable[[Store], Awaitable[T]], nothing: T, owner: str | None = None) -> T:
    """Do something with the journal of a configuration; without one, `nothing`. Ends the program where that fails.

    Without `owner` it is looked at, also beside the program that owns it.
    """
    file = file_of(config)
    if not file.exists():
        return nothing

    async def main() -> T:
        async with open_store(file, JOURNAL, owner=owner) as store:
            return await work(store)

    try:
        return trio.run(main)
    except (StoreError, UnreadableRecord) as error:
        fail(str(error))


def read_runs(config: Config) -> Sequence[Run]:
    """All runs of a configuration, the oldest first."""
    return in_journal(config, list_runs, ())


def find_run(config: Config, id: str) -> Run:
    """The run whose id begins with this. Ends the program where there is none, or more than one."""
    found = [run for run in read_runs(config) if run.id.startswith(id)]
    exact = [run for run in found if run.id == id]
    if len(exact or found) != 1:
        which = f"there are {len(found)}: {', '.join(run.id for run in found[:5])}" if found else "there is none"
        fail(f"no single run has an id that begins with {id!r}; {which}")
    return (exact or found)[0]


def fail(text: str) -> NoReturn:
    """End the program with status 1."""
    click.echo(f"anima: {text}", err=True)
    sys.exit(1)
