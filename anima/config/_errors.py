"""What is wrong with a configuration file: all of it at once, each problem with its place and the mend."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

import attrs


@attrs.frozen
class Problem:
    """One thing that is wrong. `key` is the path of the key in the file, `hint` the likely mend.

    `file` is named where it is another one than that of the `ConfigError`: one that it refers to.
    """

    key: str
    what: str
    hint: str | None = None
    file: Path | None = None

    def __str__(self) -> str:
        place = (f"{self.file}: " if self.file else "") + (f"{self.key}: " if self.key else "")
        return f"{place}{self.what}" + (f" ({self.hint})" if self.hint else "")


class ConfigError(Exception):
    """A configuration file that cannot be used. Nothing was started."""

    def __init__(self, file: Path, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) if problem.file else f"{file}: {problem}" for problem in self.problems))


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """A hint with the valid word that `word` was probably meant to be, or with all of them."""
    valid = list(valid)
    close = difflib.get_close_matches(word, valid, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid: {', '.join(sorted(valid))}" if valid else None
