"""`anima config show|check CONFIG`."""

from __future__ import annotations

import json

import click

from anima.config import AgentFile, Setting, Tree, notes, outline, tree_settings

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
    if isinstance(found, AgentFile):
        agents = {found.spec.name: found.values}
    else:  # what holds for all of them is said once
        agents = {name: tuple(filter(_own, agent.values)) for name, agent in found.agents.items()}
    if as_json:
        shown = {
            name: {setting.key: {"value": setting.value, "origin": setting.origin} for setting in values}
            for name, values in agents.items()
        }
        click.echo(json.dumps(shown[found.spec.name] if isinstance(found, AgentFile) else shown, ensure_ascii=False))
        return
    if isinstance(found, Tree):
        click.echo(outline(found))
        click.echo(f"\n# {found.root}")
        for line in tree_settings(found.home, found.retention, found.budgets):
            click.echo(line)
    for name, values in agents.items():
        if isinstance(found, Tree):
            click.echo(f"\n# {name}")
        width = max(len(f"{setting.key} = {setting.value}") for setting in values)
        for setting in values:
            click.echo(f"{f'{setting.key} = {setting.value}':{min(width, 60)}}  # {setting.origin}")


def _own(setting: Setting) -> bool:
    """Whether it is said of an agent of a tree, not of the whole tree."""
    return setting.key != "home" and not setting.key.startswith("journal.")


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
