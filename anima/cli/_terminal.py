"""Reads the lines of a conversation."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

PROMPT = "> "
#: The last lines that are kept from one conversation to the next.
KEPT_LINES = 1000


class Terminal:
    """Reads lines, with history and completion where standard input is a terminal."""

    def __init__(self, history: Path, commands: Iterable[str]) -> None:
        self._history = history
        self._commands = tuple(commands)
        self._readline: Any = None

    def __enter__(self) -> Terminal:
        if sys.stdin is not None and sys.stdin.isatty():
            with contextlib.suppress(ImportError):
                import readline

                self._readline = readline
                readline.set_completer(self._complete)
                readline.set_completer_delims("")
                readline.parse_and_bind("tab: complete")
                readline.set_history_length(KEPT_LINES)
                with contextlib.suppress(OSError):
                    readline.read_history_file(self._history)
        return self

    def __exit__(self, *_: object) -> None:
        if self._readline is not None:
            try:
                self._history.parent.mkdir(parents=True, exist_ok=True)
                self._history.touch(0o600)
                self._readline.write_history_file(self._history)
            except OSError as error:
                click.echo(f"anima: the history of this conversation is not kept: {error}", err=True)

    def welcome(self, text: str) -> None:
        """The first line of a conversation, for people."""
        if self._readline is not None:
            click.echo(text, err=True)

    def _complete(self, text: str, state: int) -> str | None:
        found = [command for command in self._commands if command.startswith(text)] if text.startswith("/") else []
        return found[state] if state < len(found) else None

    def read(self) -> str | None:
        """The next line; None at the end. Raises KeyboardInterrupt."""
        if sys.stdin is None:
            return None
        if not sys.stdin.isatty():
            line = sys.stdin.readline()
            return line.rstrip("\n") if line else None
        try:
            return input(PROMPT)
        except EOFError:
            click.echo("")
            return None
