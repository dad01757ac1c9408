"""What is wrong with a tree file, gathered while its tables become specs."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import attrs

from anima.hub import BadTopic
from anima_supervisors import BadSpec

from ._errors import Problem
from ._tables import SECTIONS, BackoffTable, MailboxTable

T = TypeVar("T")

#: How specs of actors begin to say what is wrong: with whom it is about, which the key says already.
_ACTORS = re.compile(r"^(actor|pool) '.*?': |^a mailbox's ")


@attrs.frozen
class Faults:
    """Gathers problems."""

    problems: list[Problem] = attrs.field(factory=list)

    def problem(self, key: str, what: str, hint: str | None = None) -> None:
        self.problems.append(Problem(key, what, hint))

    def checked(self, key: str, build: Callable[[], T]) -> T | None:
        """What `build` makes; or None, with its `BadSpec` as a problem."""
        try:
            return build()
        except BadTopic as error:
            self.problem(key, str(error))
            return None
        except BadSpec as error:
            own = f"child {key.partition('.')[2]!r}: "  # a spec names its child, which the key does already
            for fault in error.faults:
                fault = _ACTORS.sub("", fault.removeprefix(own))
                section, _, name = key.partition(".")
                words = fault.removeprefix("backoff ").split(" ", 1)  # most faults begin with the field's name
                inner = name.rpartition(".")[2] if "." in name else ""
                table = {"": SECTIONS[section], "mailbox": MailboxTable}.get(inner, BackoffTable)
                known = words[0] in attrs.fields_dict(table)
                self.problem(f"{key}.{words[0]}" if known else key, words[-1] if known else fault)
            return None
        except RecursionError:  # what a spec says of a value that is nested without end
            self.problem(key, "is nested too deeply")
            return None
