"""`anima dead-letters list|show|retry|drop CONFIG`: runs that crashed their agent, or the program, too often."""

from __future__ import annotations

import json
import time
from pathlib import Path

import attrs
import click

from anima.agents import Run, end_run, retry_run
from anima.config import AgentFile, Tree

from ._configs import read_config
from ._journals import fail, find_run, in_journal, read_runs
from ._runs import FILE, ID, line
from ._runs import show as show_run


@click.group()
def dead_letters() -> None:
    """Runs that were put aside, since they crashed too often. ID is that of a run, or its beginning."""


@dead_letters.command("list")
@FILE
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each, on a line of its own.")
def list_(file: Path, as_json: bool) -> None:
    """List them, the oldest first."""
    for run in read_runs(read_config(file)):
        if run.state == "aside":
            click.echo(json.dumps(attrs.asdict(run)) if as_json else line(run))


dead_letters.add_command(show_run)


@dead_letters.command()
@FILE
@ID
def retry(file: Path, id: str) -> None:
    """Have one gone on with: by `anima supervise` by itself, else by `anima run CONFIG --resume ID`."""
    config = read_config(file)
    run = _aside(config, id)
    in_journal(config, lambda store: retry_run(store, run.id), None, owner="anima dead-letters retry")
    click.echo(f"run {run.id} is open again", err=True)


@dead_letters.command()
@FILE
@ID
def drop(file: Path, id: str) -> None:
    """End one for good."""
    config = read_config(file)
    run = _aside(config, id)
    in_journal(config, lambda store: end_run(store, run.id, time.time()), None, owner="anima dead-letters drop")
    click.echo(f"run {run.id} is dropped", err=True)


def _aside(config: AgentFile | Tree, id: str) -> Run:
    run = find_run(config, id)
    if run.state != "aside":
        fail(f"run {run.id} was not put aside: it is {run.state}")
    return run
