"""What is found out about an agent while its tables become specs: what is wrong, and what is probably not meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import attrs

from anima.hub import BadTopic
from anima_supervisors import BadSpec

from ._errors import Problem
from ._layers import Layered

T = TypeVar("T")


@attrs.frozen
class Findings:
    """Gathers problems, each told of the place that its value is from, and notes."""

    values: Layered
    problems: list[Problem] = attrs.field(factory=list)
    notes: list[str] = attrs.field(factory=list)

    def problem(self, key: str, what: str, hint: str | None = None) -> None:
        self.problems.append(self.values.problem(key, what, hint))

    def note(self, key: str, what: str) -> None:
        self.notes.append(f"{key}: {what}")

    def checked(self, key: str, build: Callable[[], T]) -> T | None:
        """What `build` makes; or None, with what is wrong with the value of `key`."""
        try:
            return build()
        except BadTopic as error:
            self.problem(key, str(error))
        except BadSpec as error:
            for fault in error.faults:
                field, _, rest = fault.partition(" ")  # most faults begin with the field's name
                known = rest.startswith("must be ") and field.isidentifier()
                self.problem(f"{key}.{field}" if known else key, rest if known else fault)
        except RecursionError:  # what a spec says of a value that is nested without end
            self.problem(key, "is nested too deeply")
        return None

    def text(self, key: str, file: Path) -> str | None:
        """The text of a file that the value of `key` names. Blocks on the disk."""
        try:
            return file.read_text(encoding="utf-8-sig")
        except OSError as error:
            self.problem(key, f"{file} cannot be read: {error.strerror}")
        except UnicodeDecodeError:
            self.problem(key, f"{file} is not a text in UTF-8")
        return None
