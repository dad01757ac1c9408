"""What can go wrong with tools, and whose fault it is.

ToolError
├── BadTool             the author's: a function that cannot be a tool, or a name that leads to none
├── UnknownTool         the asker's: there is no tool of this name
├── BadArguments        the model's: the text says what to mend
├── ToolTimeout         the tool did not finish within its deadline
├── BadFile             the model's: what is at a path is not what it was taken for
│   └── OutsideRoot     it asks for what is not below the root of its workspace
├── BadEdit             the model's: the text to replace is not there, or more than once
├── BadCommand          the model's: a command that cannot be run as asked
├── BadRequest          the model's: an address, a method or a header that cannot be sent
├── AddressRefused      the model's: the address is private, and not allowed
└── HttpFailed          the network's, or the server's: there is no answer
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class ToolError(Exception):
    """The base of what this floor raises. Its text is written for a model as much as for a person."""


class BadTool(ToolError, TypeError):
    """A function that cannot be a tool, tools that cannot be in one toolbox, or a name that leads to no tool."""


class UnknownTool(ToolError, LookupError):
    """There is no tool of this name. Nothing was run."""

    def __init__(self, name: str, valid: Iterable[str], why: str | None = None) -> None:
        why = why or nearest(name, valid) or "there are no tools at all"
        super().__init__(f"there is no tool {name!r}; {why}")
        self.name = name


class BadArguments(ToolError, ValueError):
    """The arguments do not fit the schema of the tool. Nothing was run. `faults` has one entry for each mistake."""

    def __init__(self, tool: str, faults: Sequence[str]) -> None:
        super().__init__(f"the arguments of {tool} are wrong: {'; '.join(faults)}")
        self.tool = tool
        self.faults = tuple(faults)


class ToolTimeout(ToolError, TimeoutError):
    """A tool did not finish within its deadline, and was cancelled. What it did until then is done."""


class BadFile(ToolError):
    """What is at a path is not what it was taken for: nothing, a folder, not text, too large."""


class OutsideRoot(BadFile):
    """A path leads out of the workspace, by itself or through a symbolic link."""

    def __init__(self, path: str, root: object) -> None:
        super().__init__(f"{path!r} is outside of {root}, where all files of this workspace are; use a path below it")


class BadEdit(ToolError):
    """The text to replace is not in the file, or not only once. The file is as it was."""


class BadCommand(ToolError):
    """A command cannot be run as asked. Nothing was run."""


class BadRequest(ToolError):
    """A request that cannot be sent: its address, method or headers. Nothing was sent."""


class AddressRefused(ToolError):
    """An address is not one of the public internet, and not allowed. Nothing was sent to it."""


class HttpFailed(ToolError):
    """No answer came: nobody could be reached, or the connection broke. Whether the request arrived is not known."""


def nearest(word: str, valid: Iterable[str]) -> str | None:
    """A hint with the valid word that `word` was probably meant to be, or with all of them; None without any."""
    valid = sorted(valid)
    close = difflib.get_close_matches(word, valid, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid: {', '.join(valid)}" if valid else None


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions in a group, and in groups within it; one that is no group is its own only leaf."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


def text_of(error: BaseException) -> str:
    """`TypeName: text`, a line for each leaf of a group."""
    return "\n".join(_line(leaf) for leaf in leaves(error))


def _line(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be shown"
    return f"{name}: {text}" if text else name
