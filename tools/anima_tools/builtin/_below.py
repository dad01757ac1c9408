"""Files below a root: found by path, opened without following what somebody puts in the way meanwhile.

A path is resolved first, symbolic links included, and has to lead below the root. What it leads to is then opened
folder by folder, and no step follows a link: there is none in a resolved path, unless it was put there after the look.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from .._errors import BadFile, OutsideRoot, nearest

#: Bytes of a file that is read as a whole.
LARGEST_FILE = 64 * 1024 * 1024

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def locate(root: Path, path: str) -> tuple[str, ...]:
    """The names from the root to what `path` leads to. Raises `OutsideRoot`, `BadFile`."""
    if "\0" in path:
        raise BadFile(f"{path!r} is no path: it has a zero character in it")
    base = Path(os.path.realpath(root))
    found = Path(os.path.realpath(base / path))
    if not found.is_relative_to(base):
        raise OutsideRoot(path, base)
    return found.relative_to(base).parts


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """Errors of the system as `BadFile`, with the path as the model wrote it."""
    try:
        yield
    except FileNotFoundError:
        raise BadFile(f"there is no {path!r}") from None
    except NotADirectoryError:
        raise BadFile(f"{path!r} leads through something that is no folder") from None
    except IsADirectoryError:
        raise BadFile(f"{path!r} is a folder; list_files shows what is in it") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise BadFile(f"{path!r} leads through a symbolic link that cannot be followed") from None
        raise BadFile(f"{path!r}: {error.strerror or error}") from None


@contextlib.contextmanager
def opened_folder(root: Path, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder at `parts`; with `make` it and those above it are made where they are missing."""
    base = os.path.realpath(root)
    if make:
        os.makedirs(base, exist_ok=True)
    folder = os.open(base, _FOLDER)
    try:
        for part in parts:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, dir_fd=folder)
            inner = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def read_bytes(folder: int, name: str, path: str) -> bytes:
    """The content of a plain file in an open folder. Raises `BadFile`, `OSError`."""
    # Without O_NONBLOCK the opening of a named pipe waits until somebody writes into it.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            raise IsADirectoryError
        if not stat.S_ISREG(about.st_mode):
            raise BadFile(f"{path!r} is no plain file")
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise BadFile(f"{path!r} is too large: it has more than {LARGEST_FILE // 2**20} MiB")
    return data


def text_of_file(data: bytes, path: str) -> str:
    """The content of a file as text. Raises `BadFile` for what is none."""
    try:
        if b"\0" in data:
            raise BadFile(f"{path!r} is no text: it has zero bytes in it")
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadFile(f"{path!r} is no text: byte {error.start} is not UTF-8") from None


def read_below(root: Path, path: str) -> str:
    """The text of a file below the root. Raises `BadFile`, `OutsideRoot`."""
    *parts, name = locate(root, path) or ("",)
    with told(path):
        if not name:
            raise IsADirectoryError
        with opened_folder(root, tuple(parts)) as folder:
            try:
                return text_of_file(read_bytes(folder, name, path), path)
            except FileNotFoundError:
                hint = nearest(name, os.listdir(folder)) or ""
                raise BadFile(f"there is no {path!r}{'; ' + hint if hint.startswith('did') else ''}") from None


def replace(folder: int, name: str, data: bytes) -> None:
    """Put a file into an open folder, or in place of another: wholly, or not at all."""
    part = f".anima-{os.urandom(6).hex()}"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666, dir_fd=folder)
    try:
        with open(descriptor, "wb") as file:
            with contextlib.suppress(FileNotFoundError):
                before = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISDIR(before.st_mode):
                    raise IsADirectoryError
                os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(part, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(part, dir_fd=folder)
        raise


@contextlib.contextmanager
def alone(folder: int) -> Iterator[None]:
    """Nobody else who asks for this writes in the folder meanwhile: an edit made of two steps loses nothing."""
    with contextlib.suppress(OSError):  # some network file systems have no locks
        fcntl.flock(folder, fcntl.LOCK_EX)
    yield  # closing the folder lets go of it
