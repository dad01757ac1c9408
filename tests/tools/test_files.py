"""Tools for files: exact, whole or not at all, and nowhere but below the root."""

from __future__ import annotations

import functools
import os
import string
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anima_tools import BadFile, Invocation, OutsideRoot, Toolbox, ToolCall, Workspace
from anima_tools.builtin import _below, _files, read_file, write_file

from .conftest import Call

# Reading


async def test_what_is_written_is_read_again_exactly(call: Call, root: Path) -> None:
    text = "één\r\n漢字\n\nlast, without an end"
    assert (
        await call("write_file", path="a/b/c.txt", text=text)
    ).content == f"wrote {len(text)} characters to a/b/c.txt"
    assert (root / "a/b/c.txt").read_bytes() == text.encode()
    assert (await call("read_file", path="a/b/c.txt")).content == text


async def test_a_part_of_a_file_says_how_to_go_on(call: Call, root: Path) -> None:
    (root / "five").write_text("1\n2\n3\n4\n5\n")
    assert (
        await call("read_file", path="five", lines=2)
    ).content == "1\n2\n[lines 1 to 2 of 5; go on with start_line=3]"
    assert (await call("read_file", path="five", start_line=4)).content == "4\n5\n\n[lines 4 to 5 of 5]"
    assert (await call("read_file", path="five", start_line=6)).content.endswith("has 5 lines; there is no line 6")
    assert (await call("read_file", path="five", start_line=0)).failed


async def test_an_empty_file_says_so(call: Call, root: Path) -> None:
    (root / "empty").touch()
    assert (await call("read_file", path="empty")).content == "[empty is empty]"


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(
        st.text(st.sampled_from("aé漢😀e\u0301"), max_size=20) | st.integers(0, 90_000).map(lambda n: "x漢" * n),
        min_size=1,
        max_size=8,
    )
)
def test_reading_on_as_told_gives_the_whole_file(lines: list[str], tmp_path: Path) -> None:
    text = "\n".join(lines)
    (tmp_path / "file").write_bytes(text.encode())
    invocation = Invocation("", Workspace(tmp_path, tmp_path / "outputs"))
    got: list[str] = []
    line = column = 1
    while text:
        part = read_file("file", invocation, start_line=line, start_column=column)
        assert len(part) <= read_file.output_cap
        body, _, note = part.rpartition("\n[line")
        if "go on with" not in note:
            got.append(body if note.endswith("]") and body else part)
            break
        numbers = [int("".join(c for c in word if c in string.digits)) for word in note.split("start_")[1:]]
        got.append(body + ("" if len(numbers) == 2 else "\n"))
        line, column = (numbers[0], numbers[1] if len(numbers) == 2 else 1)
    assert "".join(got) == text


async def test_the_whole_of_a_shortened_output_can_be_read_by_its_handle(call: Call) -> None:
    result = await call("echo", text="0123456789" * 5000)
    assert result.handle is not None
    part = await call("read_file", path=result.handle)
    assert "line 1 of 1, characters 1 to 39744 of 50000; go on with start_line=1, start_column=39745" in part.content
    rest = await call("read_file", path=result.handle, start_column=39745)
    assert rest.content.startswith("4567890123")
    assert (await call("read_file", path="output:0123456789abcdef")).content.endswith("it was not kept, or is deleted")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("image", "is no text: it has zero bytes in it"),
        ("latin", "is no text: byte 1 is not UTF-8"),
        ("folder", "is a folder; list_files shows"),
        ("pipe", "is no plain file"),
        ("reamde.txt", "there is no 'reamde.txt'; did you mean 'readme.txt'?"),
        ("other/file", "there is no 'other/file'"),
        ("readme.txt/file", "leads through something that is no folder"),
        ("circle", "cannot be followed"),
        ("", "is a folder"),
        ("a\0b", "has a zero character in it"),
        ("x" * 300, "File name too long"),
    ],
)
async def test_what_is_no_text_file_is_told(name: str, says: str, call: Call, root: Path) -> None:
    (root / "image").write_bytes(b"\x89PNG\0\0")
    (root / "latin").write_bytes(b"a\xe9b")
    (root / "folder").mkdir()
    (root / "readme.txt").touch()
    (root / "circle").symlink_to("circle")
    os.mkfifo(root / "pipe")
    result = await call("read_file", path=name)
    assert result.failed
    assert says in result.content


async def test_a_file_that_is_too_large_is_refused(call: Call, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_below, "LARGEST_FILE", 1024 * 1024)
    (root / "large").write_bytes(b"a" * (1024 * 1024 + 1))
    assert "is too large: it has more than 1 MiB" in (await call("read_file", path="large")).content


# Staying below the root


@pytest.fixture
def secret(root: Path) -> Path:
    """A file beside the root, and links that lead to it."""
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "link").symlink_to(outside / "secret")
    (root / "folder").symlink_to(outside)
    return outside / "secret"


@pytest.mark.parametrize(
    "path", ["../outside/secret", "/etc/passwd", "link", "folder/secret", "a/../../outside/secret", ".."]
)
@pytest.mark.parametrize("tool", ["read_file", "write_file", "edit_file", "list_files"])
async def test_nothing_outside_of_the_root_is_reached(
    path: str, tool: str, call: Call, root: Path, secret: Path
) -> None:
    arguments = {"write_file": {"text": "x"}, "edit_file": {"old": "secret", "new": "x"}}.get(tool, {})
    result = await call(tool, path=path, **arguments)
    assert result.failed
    assert result.content.startswith(f"OutsideRoot: {path!r} is outside of {root}")
    assert (root.parent / "outside/secret").read_text() == "secret"


async def test_a_link_that_stays_inside_is_followed(call: Call, root: Path) -> None:
    (root / "real").mkdir()
    (root / "real/file").write_text("a")
    (root / "link").symlink_to("real")
    (root / "real/other").symlink_to(root / "real/file")
    assert (await call("read_file", path="link/other")).content == "a"
    assert not (await call("write_file", path="link/other", text="b")).failed
    assert (root / "real/file").read_text() == "b"
    assert (root / "real/other").is_symlink()
    assert (await call("read_file", path=str(root / "real/file"))).content == "b"


@pytest.mark.parametrize("swapped", ["folder", "folder/file"])
def test_a_link_put_in_the_way_after_the_look_is_not_followed(
    swapped: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "folder").mkdir()
    (root / "folder/file").write_text("mine")
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "file").write_text("secret")

    def locate(root: Path, path: str) -> tuple[str, ...]:
        parts = real(root, path)
        (root / "folder").rename(root / "away")
        if swapped == "folder":
            (root / "folder").symlink_to(outside)
        else:
            (root / "folder").mkdir()
            (root / "folder/file").symlink_to(outside / "file")
        return parts

    real = _below.locate
    monkeypatch.setattr(_below, "locate", locate)
    with pytest.raises(BadFile):
        _below.read_below(root, "folder/file")


NAMES = st.sampled_from(["..", ".", "a", "link", "/", "", "file", "~", "root"])


@given(st.lists(NAMES, max_size=8))
def test_no_path_leads_out(names: list[str]) -> None:
    with pytest.MonkeyPatch.context():
        root = Path("/nowhere/root")
        try:
            parts = _below.locate(root, "/".join(names))
        except OutsideRoot:
            return
        assert ".." not in parts
        assert Path(os.path.normpath(root.joinpath(*parts))).is_relative_to(root)


# Writing


async def test_writing_replaces_the_file_as_a_whole_and_keeps_its_mode(call: Call, root: Path) -> None:
    (root / "script").write_text("old, and longer")
    (root / "script").chmod(0o750)
    before = (root / "script").stat().st_ino
    await call("write_file", path="script", text="new")
    assert (root / "script").read_text() == "new"
    assert (root / "script").stat().st_mode & 0o777 == 0o750
    assert (root / "script").stat().st_ino != before
    assert os.listdir(root) == ["script"]


async def test_a_write_that_fails_leaves_the_old_file_and_no_other(
    call: Call, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "file").write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    result = await call("write_file", path="file", text="new")
    assert result.content == "BadFile: 'file': No space left on device"
    assert (root / "file").read_text() == "old"
    assert os.listdir(root) == ["file"]


async def test_a_folder_is_not_overwritten(call: Call, root: Path) -> None:
    (root / "folder").mkdir()
    for path in ("folder", ".", ""):
        assert "is a folder" in (await call("write_file", path=path, text="x")).content


async def test_a_write_that_was_given_up_does_not_happen_later(invocation: Invocation, root: Path) -> None:
    """It waits for another one's edit; by the time that it is its turn, nobody wants it any more."""
    (root / "file").write_text("old")
    toolbox = Toolbox([write_file], threads=1)
    call = ToolCall("c", "write_file", '{"path": "file", "text": "new"}')
    with _below.opened_folder(root, ()) as folder, _below.alone(folder):
        with trio.move_on_after(0.05) as scope:
            await toolbox.run(call, invocation)
        assert scope.cancelled_caught
    async with toolbox._limiter:  # its thread is over
        assert (root / "file").read_text() == "old"


# Editing


async def test_an_edit_replaces_the_one_place(call: Call, root: Path) -> None:
    (root / "file").write_text("a = 1\nb = 2\n")
    assert (await call("edit_file", path="file", old="b = 2", new="b = 3")).content == "replaced 1 place in file"
    assert (root / "file").read_text() == "a = 1\nb = 3\n"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("c", "d", "is not in 'file'; read the file"),
        ("a  =  1", "d", "with other white space it is at line 1"),
        ("x", "y", "more than once, at the lines 3, 4; give more"),
        ("ee", "f", "more than once"),
        ("", "y", "old is empty"),
        ("x", "x", "nothing to do"),
    ],
)
async def test_an_edit_that_is_not_clear_is_refused(old: str, new: str, says: str, call: Call, root: Path) -> None:
    text = "a = 1\nb = 2\nx\nx\neee\n"
    (root / "file").write_text(text)
    result = await call("edit_file", path="file", old=old, new=new)
    assert result.failed
    assert says in result.content
    assert (root / "file").read_text() == text


async def test_an_edit_of_all_places(call: Call, root: Path) -> None:
    (root / "file").write_text("x x x")
    assert (await call("edit_file", path="file", old="x", new="y", all=True)).content == "replaced 3 places in file"
    assert (root / "file").read_text() == "y y y"


async def test_an_edit_says_why_lines_with_other_ends_are_not_found(call: Call, root: Path) -> None:
    (root / "file").write_bytes(b"a\r\nb\r\n")
    assert "end with \\r\\n" in (await call("edit_file", path="file", old="a\nb", new="c")).content


async def test_edits_of_one_file_at_once_lose_nothing(call: Call, root: Path) -> None:
    (root / "file").write_text("\n".join(f"line {n};" for n in range(16)))
    async with trio.open_nursery() as nursery:
        for n in range(16):
            edit = {"path": "file", "old": f"line {n};", "new": f"edited {n};"}
            nursery.start_soon(functools.partial(call, "edit_file", **edit))
    assert (root / "file").read_text() == "\n".join(f"edited {n};" for n in range(16))


# Listing


@pytest.fixture
def tree(root: Path) -> None:
    for name in ("b.txt", "a/c.py", "a/d/e.py", ".git/config", "node_modules/x/y.js", ".hidden"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "a/out").symlink_to("/etc")


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        ({}, [".hidden", "b.txt", "a/c.py", "a/d/e.py"]),
        ({"pattern": "*"}, [".hidden", "b.txt"]),
        ({"pattern": "**/*.py"}, ["a/c.py", "a/d/e.py"]),
        ({"pattern": "a/**"}, ["a/c.py", "a/d/e.py"]),
        ({"pattern": "?.txt"}, ["b.txt"]),
        ({"path": "a", "pattern": "*.py"}, ["a/c.py"]),
        ({"path": "a/d"}, ["a/d/e.py"]),
        ({"path": ".git"}, [".git/config"]),
        ({"limit": 2}, [".hidden", "b.txt", "[there are more than 2; narrow path or pattern]"]),
        ({"pattern": "*.rs"}, ["[no file in . fits *.rs]"]),
    ],
)
async def test_files_are_listed_in_order(arguments: dict[str, object], files: list[str], call: Call) -> None:
    assert (await call("list_files", **arguments)).content.splitlines() == files


@pytest.mark.usefixtures("tree")
async def test_what_cannot_be_listed_is_told(call: Call) -> None:
    assert "no folder" in (await call("list_files", path="b.txt")).content
    assert "there is no 'x'" in (await call("list_files", path="x")).content


def test_a_pattern_without_wildcards_is_itself() -> None:
    assert _files._pattern("a.b[c]").fullmatch("a.b[c]")
    assert not _files._pattern("a.b").fullmatch("axb")
