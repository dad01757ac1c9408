"""`anima dead-letters list|show|retry|drop CONFIG`: runs that crashed their agent, or the program, too often."""

from __future__ import annotations

import time

import click

from anima.agents import Run, end_run, retry_run

from ._configs import Config, configured
from ._journals import fail, find_run, in_journal, read_runs
from ._runs import ID, as_object, line, redaction
from ._runs import show as show_run


@click.group()
def dead_letters() -> None:
    """Runs that were put aside: they crashed too often, or wait for `anima runs settle`. ID may be its beginning."""


@dead_letters.command("list")
@configured
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each, on a line of its own.")
def list_(config: Config, as_json: bool) -> None:
    """List them, the oldest first."""
    for run in read_runs(config):
        if run.state == "aside":
            redacted_of = redaction(config, run.agent)
            click.echo(as_object(run, redacted_of) if as_json else line(run, redacted_of))


dead_letters.add_command(show_run)


@dead_letters.command()
@configured
@ID
def retry(config: Config, id: str) -> None:
    """Have one gone on with: by `anima supervise` by itself, else by `anima run CONFIG --resume ID`."""
    run = _aside(config, id)
    in_journal(config, lambda store: retry_run(store, run.id), None, owner="anima dead-letters retry")
    click.echo(f"run {run.id} is open again", err=True)


@dead_letters.command()
@configured
@ID
def drop(config: Config, id: str) -> None:
    """End one for good."""
    run = _aside(config, id)
    in_journal(config, lambda store: end_run(store, run.id, time.time()), None, owner="anima dead-letters drop")
    click.echo(f"run {run.id} is dropped", err=True)


def _aside(config: Config, id: str) -> Run:
    run = find_run(config, id)
    if run.state != "aside":
        fail(f"run {run.id} was not put aside: it is {run.state}")
    return run
