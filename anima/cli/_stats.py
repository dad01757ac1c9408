"""`anima stats CONFIG`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import attrs
import click

from anima.agents import AgentStats, read_stats

from ._configs import Config, configured
from ._journals import in_journal


@click.command()
@configured
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each agent, on a line of its own.")
def stats(config: Config, as_json: bool) -> None:
    """Show what the agents of CONFIG have done, in figures; also while they run."""
    nothing: tuple[AgentStats, ...] = ()
    for one in in_journal(config, read_stats, nothing):
        if as_json:
            click.echo(json.dumps(attrs.asdict(one)))
        else:
            for line in _lines(one):
                click.echo(line)


def _lines(one: AgentStats) -> Iterator[str]:
    turns = ", ".join(f"{count:,} {how}" for how, count in one.turns.items())
    yield f"{one.agent}: {sum(one.turns.values()):,} turns ({turns}), {one.seconds:,.1f} s"
    cost = f", ${one.cost:,.4f}" if one.cost else ""
    yield f"  model: {one.model_calls:,} answers, {one.input_tokens:,} + {one.output_tokens:,} tokens{cost}"
    if one.model_failures:
        yield f"  could not answer: {', '.join(f'{count:,} {error}' for error, count in one.model_failures.items())}"
    for name, tool in one.tools.items():
        failed = f", {tool.failed:,} failed" if tool.failed else ""
        yield f"  {name}: {tool.calls:,} calls{failed}"
