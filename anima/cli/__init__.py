"""The command line. Commands are imported when they are called: `anima --help` needs click and nothing else."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import Any, NoReturn

import click

from anima import __version__

from ._stderr import tolerate_stderr

#: Each command with its module, whose function of the same name it is, and its line in the help.
COMMANDS = {
    "backup": ("anima.cli._backup", "Copy journal and memories, also while they are used."),
    "chat": ("anima.cli._chat", "Talk with an agent."),
    "config": ("anima.cli._config", "Look at a configuration without running it."),
    "dead-letters": ("anima.cli._dead_letters", "Runs that were put aside: look at them, retry or drop them."),
    "init": ("anima.cli._init", "Write a small project that runs at once."),
    "memory": ("anima.cli._memory", "What an agent remembers: list, search, add, forget, undo."),
    "restore": ("anima.cli._restore", "Bring back what was copied."),
    "run": ("anima.cli._run", "Give an agent a task and print its answer."),
    "runs": ("anima.cli._runs", "What agents have done: list, show, resume, cancel."),
    "stats": ("anima.cli._stats", "What agents have done, in figures."),
    "supervise": ("anima.cli._supervise", "Run a supervision tree from a TOML file."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported on demand."""

    def main(self, args: Any = None, prog_name: str | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Run a command, and end the program: 130 where it was interrupted, 1 where what it writes goes nowhere."""
        tolerate_stderr()
        try:
            sys.exit(super().main(args, prog_name, standalone_mode=False))
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("anima: interrupted", err=True)
            sys.exit(130)
        except BrokenPipeError:  # whoever read has gone
            _drop_stdout()
            sys.exit(1)
        except OSError as error:
            _drop_stdout()
            what = "cannot write" if error.filename is None else f"cannot use {error.filename}"
            click.echo(f"anima: {what}: {error.strerror or error}", err=True)
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            close = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(sorted(COMMANDS))}."
            ctx.fail(f"No such command {name!r}. {hint}")
        command: click.Command = getattr(importlib.import_module(COMMANDS[name][0]), name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", message="anima %(version)s")
def main() -> None:
    """Anima: a home that AI agents live in."""


def _drop_stdout() -> None:
    """Let the end of the program not try to write what could not be written."""
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 -- for the rest of our life


__all__ = ["main"]
