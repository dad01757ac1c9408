"""The tools that come with it: each is an entry point of the group `anima.tools`, as anybody's are."""

from ._files import edit_file, list_files, read_file, write_file
from ._http import http
from ._shell import shell
from ._small import add, clock, echo

__all__ = ["add", "clock", "echo", "edit_file", "http", "list_files", "read_file", "shell", "write_file"]
