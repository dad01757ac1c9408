"""Type checkers know what an actor takes and what it replies: both of them accept the right, and see every wrong line.

`samples/right.py` says with `assert_type` which types they have to see, `samples/wrong.py` marks each line that they
have to complain of. Each checker runs once, over copies of both.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parent.parent.parent
SAMPLES = Path(__file__).parent / "samples"
RIGHT = "right.py"
WRONG = "wrong.py"
#: as RIGHT, and every type in an `assert_type` is another than it says: an assertion that nobody looks at would pass
FALSE = "false.py"

ASSERTION = re.compile(r"^( *assert_type\(.+, )[^(]+\)$", re.MULTILINE)
MARK = "# wrong: "

Errors = dict[tuple[str, int], str]


@attrs.frozen
class Checked:
    """What a checker says: the text of its errors by file and line."""

    errors: Errors

    def lines(self, file: str) -> set[int]:
        return {line for found, line in self.errors if found == file}

    def told(self, file: str) -> str:
        """All it says about a file, for who reads that a test failed."""
        return "\n".join(f"{found}:{line}: {text}" for (found, line), text in self.errors.items() if found == file)


def run(command: list[str], **env: str) -> str:
    """The output of a checker, which finds errors, and may not fail otherwise."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("MYPY", "PYRIGHT"))}
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=ours | env,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )
    assert done.returncode == 1, f"{command[0]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def mypy(folder: Path) -> Errors:
    """mypy as the project configures it."""
    files = [str(path) for path in sorted(folder.glob("*.py"))]
    told = run(["mypy", "--strict", "--output=json", f"--cache-dir={folder / 'cache'}", *files], MYPYPATH=str(folder))
    errors: Errors = defaultdict(str)
    for found in map(json.loads, told.splitlines()):
        if found["severity"] == "error":
            errors[Path(found["file"]).name, found["line"]] += found["message"] + "\n"
    return errors


def pyright(folder: Path) -> Errors:
    """pyright with its strict rules."""
    config = {
        "include": ["."],
        "extraPaths": [str(ROOT), str(ROOT / "supervisors"), str(ROOT / "tools")],
        "pythonVersion": "3.11",
        "typeCheckingMode": "strict",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(config), encoding="utf-8")
    told = run(["pyright", "--outputjson", f"--pythonpath={sys.executable}", f"--project={folder}"])
    errors: Errors = defaultdict(str)
    for found in json.loads(told)["generalDiagnostics"]:
        if found["severity"] == "error":
            errors[Path(found["file"]).name, found["range"]["start"]["line"] + 1] += found["message"] + "\n"
    return errors


@pytest.fixture(scope="module", params=[mypy, pyright], ids=["mypy", "pyright"])
def checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    folder = tmp_path_factory.mktemp("samples")
    for name in (RIGHT, WRONG):
        shutil.copy(SAMPLES / name, folder)
    (folder / FALSE).write_text(ASSERTION.sub(r"\1type[None])", sample(RIGHT)), encoding="utf-8")
    errors: Errors = request.param(folder)
    return Checked(errors)


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


def lines_with(text: str, name: str) -> set[int]:
    return {number for number, line in enumerate(sample(name).splitlines(), 1) if text in line}


def test_what_is_right_is_accepted(checked: Checked) -> None:
    assert not checked.lines(RIGHT), checked.told(RIGHT)


def test_every_asserted_type_is_the_one_that_is_seen(checked: Checked) -> None:
    asserted = lines_with(" assert_type(", RIGHT)
    assert len(asserted) > 30
    assert checked.lines(FALSE) >= asserted, checked.told(FALSE)


def test_what_is_wrong_is_told_line_by_line(checked: Checked) -> None:
    assert checked.lines(WRONG) == lines_with(MARK, WRONG), checked.told(WRONG)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("    greeter.tell(Tick())", "Tick"),
        ("    await greeter.put(Count())", "Count"),
        ("    await greeter.ask(Tick())", "Tick"),
        ("    await greeter.ask(Count())", "Count"),
        ("        self.every(1.0, Tick())", "Tick"),
    ],
)
def test_a_wrong_message_is_named_beside_what_the_actor_takes(checked: Checked, line: str, named: str) -> None:
    (number,) = lines_with(f"{line}  {MARK}", WRONG)
    told = checked.errors[WRONG, number]
    assert f'"{named}"' in told
    assert "Greet | Stop" in told
