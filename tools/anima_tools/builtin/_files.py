"""Tools for files: read, write, edit, list. They stay below the root of the workspace."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import trio

from .._calls import Effect
from .._errors import BadEdit, BadFile
from .._invocation import Invocation
from .._output import HANDLE, cut, output_file
from .._tool import tool
from ._below import alone, locate, opened_folder, read_below, read_bytes, replace, text_of_file, told

READ_CAP = 40_000
#: What is left for the line that says which lines these are.
ROOM = READ_CAP - 256
#: Folders that hold what nobody has written by hand; they are listed only when asked for by `path`.
SKIPPED = {".git", ".hg", ".venv", "node_modules", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}

PathText = Annotated[str, "path of the file, relative to the root of the workspace"]


@tool(effect=Effect.PURE, output_cap=READ_CAP)
def read_file(
    path: Annotated[str, "path of the file, relative to the root of the workspace; or a handle such as output:0a1b..."],
    invocation: Invocation,
    start_line: Annotated[int, "number of the first line, from 1"] = 1,
    lines: Annotated[int, "how many lines at most"] = 2000,
    start_column: Annotated[int, "number of the first character in the first line, from 1: for very long lines"] = 1,
) -> str:
    """Read a text file, or a part of it. A last line in brackets says how to go on where it is not all."""
    if start_line < 1 or lines < 1 or start_column < 1:
        raise BadFile("start_line, lines and start_column count from 1")
    workspace = invocation.workspace
    if handle := HANDLE.fullmatch(path):
        text = _read_output(workspace.outputs, handle[1], path)
    else:
        text = read_below(workspace.root, path)
    if not text:
        return f"[{path} is empty]"
    return _part(text, path, start_line, lines, start_column)


def _read_output(outputs: Path, name: str, handle: str) -> str:
    file = output_file(outputs, name)
    try:
        with opened_folder(file.parent, ()) as folder:
            return text_of_file(read_bytes(folder, file.name, handle), handle)
    except FileNotFoundError:
        raise BadFile(f"there is no {handle!r}: it was not kept, or is deleted") from None


def _part(text: str, path: str, first: int, most: int, column: int) -> str:
    """Whole lines from line `first`, as many as are asked for and have room; of a line that has none, a part."""
    lines = text.removesuffix("\n").split("\n")
    if first > len(lines):
        raise BadFile(f"{path!r} has {len(lines)} lines; there is no line {first}")
    line = lines[first - 1][column - 1 :]
    if len(line) > ROOM:
        end = cut(line, ROOM, -1)
        last = column - 1 + end
        where = f"line {first} of {len(lines)}, characters {column} to {last} of {len(lines[first - 1])}"
        return f"{line[:end]}\n[{where}; go on with start_line={first}, start_column={last + 1}]"
    taken = [line]
    room = ROOM - len(line)
    for line in lines[first : first - 1 + most]:
        room -= len(line) + 1
        if room < 0:
            break
        taken.append(line)
    last = first - 1 + len(taken)
    part = "\n".join(taken)
    if last < len(lines):
        return f"{part}\n[lines {first} to {last} of {len(lines)}; go on with start_line={last + 1}]"
    part += text[len(text.removesuffix("\n")) :]
    return part if (first, column) == (1, 1) else f"{part}\n[lines {first} to {last} of {len(lines)}]"


@tool(effect=Effect.IDEMPOTENT)
def write_file(path: PathText, text: Annotated[str, "the whole content of the file"], invocation: Invocation) -> str:
    """Write a text file, in place of the old one if there is one. Folders are made as needed."""
    *parts, name = locate(invocation.workspace.root, path) or ("",)
    with told(path):
        if not name:
            raise IsADirectoryError
        with opened_folder(invocation.workspace.root, tuple(parts), make=True) as folder, alone(folder):
            _still_wanted()
            replace(folder, name, text.encode())
    return f"wrote {len(text)} characters to {path}"


@tool
def edit_file(
    path: PathText,
    old: Annotated[str, "the text to replace, exactly as it is in the file; it has to be there once"],
    new: Annotated[str, "the text to put in its place"],
    invocation: Invocation,
    all: Annotated[bool, "replace it wherever it is"] = False,
) -> str:
    """Replace a text in a file by another one."""
    if not old:
        raise BadEdit("old is empty; to write a whole file use write_file")
    if old == new:
        raise BadEdit("old and new are the same; there is nothing to do")
    *parts, name = locate(invocation.workspace.root, path) or ("",)
    with told(path):
        if not name:
            raise IsADirectoryError
        with opened_folder(invocation.workspace.root, tuple(parts)) as folder, alone(folder):
            before = text_of_file(read_bytes(folder, name, path), path)
            places = _places(before, old)
            if not places:
                raise BadEdit(f"the text to replace is not in {path!r}; {_why_not(before, old)}")
            if len(places) > 1 and not all:
                numbers = ", ".join(str(before.count("\n", 0, place) + 1) for place in places[:8])
                raise BadEdit(
                    f"the text to replace is in {path!r} more than once, at the lines {numbers}; "
                    "give more of what is around it, or all=true"
                )
            _still_wanted()
            replace(folder, name, before.replace(old, new).encode())
    count = before.count(old)
    return f"replaced {count} {'place' if count == 1 else 'places'} in {path}"


def _places(text: str, part: str) -> list[int]:
    """Where a part begins in a text, overlapping ones included; the first few."""
    places: list[int] = []
    at = text.find(part)
    while at >= 0 and len(places) < 9:
        places.append(at)
        at = text.find(part, at + 1)
    return places


def _why_not(text: str, part: str) -> str:
    if "\r\n" in text and "\r\n" not in part and part.replace("\n", "\r\n") in text:
        return "the lines of this file end with \\r\\n"
    words = r"\s+".join(re.escape(word) for word in part.split())
    if words and (found := re.search(words, text)):
        line = text.count("\n", 0, found.start()) + 1
        return f"with other white space it is at line {line}: take it from there exactly"
    return "read the file and take the text from it exactly"


@tool(effect=Effect.PURE)
def list_files(
    invocation: Invocation,
    path: Annotated[str, "the folder to look in, relative to the root of the workspace"] = ".",
    pattern: Annotated[str, "* is any part of a name, ? one character, ** any folders in between"] = "**/*",
    limit: Annotated[int, "how many at most"] = 500,
) -> str:
    """List files by their paths. Folders such as .git and node_modules are left out unless `path` leads into them."""
    root = invocation.workspace.root
    parts = locate(root, path)
    wanted = _pattern(pattern)
    found: list[str] = []
    with told(path):
        for file in _files(root, parts):
            if wanted.fullmatch(file):
                if len(found) >= limit:
                    return "\n".join(found) + f"\n[there are more than {limit}; narrow path or pattern]"
                found.append("/".join((*parts, file)))
    return "\n".join(found) or f"[no file in {path} fits {pattern}]"


def _files(root: Path, parts: tuple[str, ...]) -> Iterator[str]:
    """The files in a folder and below it, in order. Links are listed, and not followed."""
    with opened_folder(root, parts) as top:
        for folder, folders, names, _ in os.fwalk(".", dir_fd=top):
            _still_wanted()
            folders[:] = sorted(name for name in folders if name not in SKIPPED)
            for name in sorted(names):
                yield os.path.normpath(os.path.join(folder, name))


def _pattern(pattern: str) -> re.Pattern[str]:
    """A pattern of paths as a regular expression."""
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("./"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(piece, re.escape(piece)) for piece in pieces), re.DOTALL)


def _still_wanted() -> None:
    """In a thread that nobody waits for any more, raise `Cancelled`: what was given up must not happen later."""
    with contextlib.suppress(RuntimeError):  # in a thread of somebody else
        trio.from_thread.check_cancelled()
