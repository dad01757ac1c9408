"""`anima init DIR`: a small project that runs at once."""

from __future__ import annotations

import sys
from importlib import resources
from pathlib import Path

import click

#: What a project is made of; the files stand beside this one, in `_project`.
FILES = ("agent.toml", "persona.md", "tools.py", "script.toml", "tree.toml", "reviewer.toml", "reviewer_script.toml")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
def init(folder: Path) -> None:
    """Write a small project into DIR: an agent, its persona, a tool of its own, a tree of two agents.

    It runs at once, by answers from a script; the files say how to give it a real model. Nothing that is there already
    is overwritten. Exit status: 0, or 1 where DIR cannot be written.
    """
    project = resources.files("anima.cli") / "_project"
    there = [name for name in FILES if (folder / name).exists()]
    if there:
        click.echo(f"anima: {folder} has {', '.join(there)} already; nothing was written", err=True)
        sys.exit(1)
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            with (folder / name).open("x", encoding="utf-8") as stream:
                written.append(folder / name)
                stream.write((project / name).read_text(encoding="utf-8"))
    except OSError as error:
        for file in written:
            file.unlink(missing_ok=True)
        click.echo(f"anima: {folder} cannot be written: {error.strerror or error}", err=True)
        sys.exit(1)
    for name in FILES:
        click.echo(folder / name)
    click.echo(f'\nTry it: anima run {folder / "agent.toml"} "How many words are in persona.md?"', err=True)
