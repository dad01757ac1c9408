"""`anima config show|check CONFIG`."""

from __future__ import annotations

import json

import click

from anima.config import AgentFile, Tree, notes, outline

from ._configs import Config, configured


@click.group()
def config() -> None:
    """Look at a configuration without running it."""


@config.command()
@configured
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object: key, value and origin of each setting.")
def show(found: Config, as_json: bool) -> None:
    """Print every setting that is in force, and where its value comes from; of a tree, those of all its agents.

    Secrets are not shown. Exit status: 0, or 2 where the configuration cannot be used.
    """
    agents = {found.spec.name: found} if isinstance(found, AgentFile) else dict(found.agents)
    if as_json:
        shown = {
            name: {setting.key: {"value": setting.value, "origin": setting.origin} for setting in agent.values}
            for name, agent in agents.items()
        }
        click.echo(json.dumps(shown[found.spec.name] if isinstance(found, AgentFile) else shown, ensure_ascii=False))
        return
    if isinstance(found, Tree):
        click.echo(outline(found))
    for name, agent in agents.items():
        if isinstance(found, Tree):
            click.echo(f"\n# {name}")
        width = max(len(f"{setting.key} = {setting.value}") for setting in agent.values)
        for setting in agent.values:
            click.echo(f"{f'{setting.key} = {setting.value}':{min(width, 60)}}  # {setting.origin}")


@config.command()
@configured
def check(found: Config) -> None:
    """Say whether a configuration can be used. Exit status: 0, or 2 where it cannot."""
    if isinstance(found, Tree):
        remarks = notes(found)
        what = f"a tree with {len(found.agents)} agents" if found.agents else "a tree"
    else:
        remarks = list(found.notes)
        what = f"the agent {found.spec.name} ({found.spec.model.name})"
    click.echo(f"{found.file}: {what}; it can be used")
    for remark in remarks:
        click.echo(f"note: {remark}", err=True)
