"""`anima run`, as its users run it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.anima.commands import ANIMA, PATIENCE, SCRIPTED, anima, environment, model_server, started, write

V17 = """
# Basic agent of version 1.7
[agent]
name = "basic-agent"

[llm]
provider = "openai"
model = "gpt-4o"
base_url = "BASE_URL"

[tools]
enabled = ["echo", "add"]

[memory]
backend = "in_memory"

[think]
max_iterations = 10
auto_memory = false
max_memory_entries = 10
reflection = false

[retry]
max_retries = 3
initial_delay_ms = 1
max_delay_ms = 5
exponential_base = 2.0

[observe]
verbose = false
"""


def one_answer(folder: Path, answer: str, **more: str) -> None:
    write(folder, agent_toml=SCRIPTED + more.pop("agent", ""), script_toml=f"[[answers]]\n{answer}\n")


def test_the_answer_goes_to_stdout_and_nothing_to_stderr(tmp_path: Path) -> None:
    one_answer(tmp_path, 'say = "It is 42."')
    ran = anima(tmp_path, "run", "agent.toml", "What is it?")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "It is 42.\n", "")


def test_the_task_can_come_from_standard_input(tmp_path: Path) -> None:
    one_answer(tmp_path, 'when = "six times seven"\nsay = "It is 42."')
    assert anima(tmp_path, "run", "agent.toml", "-", stdin="six times seven\n").stdout == "It is 42.\n"


TOOLS = """
[tools]
enabled = ["add"]
"""
ADDS = """
say = "Let me add."
calls = [{ name = "add", arguments = { a = 2, b = 3 } }]
[[answers]]
when = "^5"
say = "It is 5."
"""


def test_verbose_shows_steps_tools_with_arguments_durations_tokens_and_cost(tmp_path: Path) -> None:
    one_answer(tmp_path, ADDS, agent=TOOLS)
    ran = anima(tmp_path, "run", "agent.toml", "-v", "2 + 3?")
    assert ran.stdout == "Let me add.\nIt is 5.\n"
    for part in ['add {"a": 2, "b": 3}', "add done in 0.0", "tokens", "3 steps in"]:
        assert part in ran.stderr


def test_without_streaming_the_final_answer_alone_is_printed(tmp_path: Path) -> None:
    one_answer(tmp_path, ADDS, agent=TOOLS)
    assert anima(tmp_path, "run", "agent.toml", "--no-stream", "2 + 3?").stdout == "It is 5.\n"


def test_json_is_one_object_with_all_that_a_program_needs(tmp_path: Path) -> None:
    one_answer(tmp_path, ADDS, agent=TOOLS)
    ran = anima(tmp_path, "run", "agent.toml", "--json", "2 + 3?")
    assert ran.stdout.count("\n") == 1
    result = json.loads(ran.stdout)
    assert (result["answer"], result["stop_reason"], result["error"]) == ("It is 5.", "end_turn", None)
    assert [step.get("tool", "model") for step in result["steps"]] == ["model", "add", "model"]
    assert result["usage"]["input_tokens"] > 0
    assert result["usage"]["cost"] == 0.0
    assert len(result["run"]) == 16


def test_an_output_class_gives_a_validated_object(tmp_path: Path) -> None:
    (tmp_path / "shapes.py").write_text("import attrs\n\n@attrs.frozen\nclass Point:\n    x: int\n    y: int\n")
    write(
        tmp_path,
        agent_toml=SCRIPTED.replace('name = "ada"', 'name = "ada"\noutput = "shapes:Point"'),
        script_toml='[[answers]]\nsay = "somewhere"\n[[answers]]\nsay = \'{"x": 1, "y": 2}\'\n',
    )
    ran = anima(tmp_path, "run", "agent.toml", "--json", "where?")
    assert json.loads(ran.stdout)["output"] == {"x": 1, "y": 2}


def test_what_a_tool_prints_and_how_it_exits_is_no_part_of_the_answer(tmp_path: Path) -> None:
    body = "\"Make noise.\"\n    print('noise')\n    raise SystemExit(7)\n"
    tool = f"from anima_tools import tool\n\n\n@tool\ndef noisy() -> str:\n    {body}"
    (tmp_path / "own.py").write_text(tool)
    one_answer(
        tmp_path,
        'calls = [{ name = "noisy" }]\n[[answers]]\nwhen = "SystemExit: 7"\nsay = "It has failed."',
        agent='[tools]\nenabled = ["own:noisy"]\n',
    )
    ran = anima(tmp_path, "run", "agent.toml", "--json", "go")
    assert json.loads(ran.stdout)["answer"] == "It has failed."
    assert "noise" in ran.stderr


def test_json_is_an_object_also_where_there_is_no_answer(tmp_path: Path) -> None:
    one_answer(tmp_path, 'say = "x"')
    with started(tmp_path, "run", "agent.toml", "--json", "first") as first:
        first.communicate(timeout=15)
    (tmp_path / ".anima" / "ada.journal").write_bytes(b"this is no database" * 100)
    ran = anima(tmp_path, "run", "agent.toml", "--json", "x")
    assert ran.returncode == 1
    assert "no SQLite database" in json.loads(ran.stdout)["error"]
    assert "Traceback" not in ran.stderr


def test_a_failure_is_status_1_and_says_what_happened_once(tmp_path: Path) -> None:
    one_answer(tmp_path, 'fail = "BadKey"\nwhat = "the key is wrong"')
    ran = anima(tmp_path, "run", "agent.toml", "x")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.count("the key is wrong") == 1
    assert "Traceback" not in ran.stderr


def test_a_partial_answer_at_a_limit_is_status_3(tmp_path: Path) -> None:
    script = ADDS.replace('when = "^5"', 'when = "limit"').replace("It is 5.", "About 5.")
    one_answer(tmp_path, script, agent=TOOLS)
    ran = anima(tmp_path, "run", "agent.toml", "--no-stream", "--set", "think.max_iterations=1", "2 + 3?")
    assert (ran.returncode, ran.stdout) == (3, "About 5.\n")
    assert "max_turns" in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nothing.toml", "x"], "cannot be read"),
        (["agent.toml", "--set", "llm.provder=x", "x"], "did you mean 'provider'?"),
        (["agent.toml", "--agent", "ada", "x"], "--agent is for trees"),
        (["agent.toml", "  "], "the task is empty"),
    ],
)
def test_what_cannot_be_used_is_status_2_with_the_reason(tmp_path: Path, arguments: list[str], said: str) -> None:
    one_answer(tmp_path, 'say = "x"')
    ran = anima(tmp_path, "run", *arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_interrupted_it_ends_with_what_there_is_and_leaves_no_process(tmp_path: Path) -> None:
    shell = (
        'say = "The first half."\ncalls = [{ name = "shell", arguments = { command = "echo $$ > pid; sleep 600" } }]'
    )
    one_answer(tmp_path, shell, agent='[tools]\nenabled = ["shell"]\n')
    os.mkfifo(tmp_path / "pid")
    with started(tmp_path, "run", "agent.toml", "go") as process:
        pid = int((tmp_path / "pid").read_text())
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=15)
    assert (process.returncode, out) == (130, "The first half.\n")
    assert "interrupted" in err
    assert not Path(f"/proc/{pid}").exists()


def test_a_file_of_version_1_7_runs_unchanged_against_a_compatible_server(tmp_path: Path) -> None:
    script = [
        {"calls": [{"name": "add", "arguments": {"a": 40, "b": 2}}]},
        {"when": "42", "text": "It is 42."},
    ]
    with model_server(tmp_path, json.dumps(script)) as url:
        write(tmp_path, basic_toml=V17.replace("BASE_URL", url))
        ran = anima(tmp_path, "run", "basic.toml", "40 + 2?", env={"OPENAI_API_KEY": "sk-secret"})
    assert (ran.returncode, ran.stdout) == (0, "It is 42.\n"), ran.stderr
    assert "sk-secret" not in ran.stderr + ran.stdout


def test_a_server_that_is_not_there_is_told_after_the_retries(tmp_path: Path) -> None:
    write(tmp_path, basic_toml=V17.replace("BASE_URL", "http://127.0.0.1:9/v1"))
    ran = anima(tmp_path, "run", "basic.toml", "x")
    assert ran.returncode == 1
    assert "attempt 2" in ran.stderr
    assert "llm_error" in ran.stderr
    assert "Traceback" not in ran.stderr


TREE = """
version = 1
root = "office"
[supervisors.office]
children = ["ada", "bob"]
[agents.ada]
config = "agent.toml"
[agents.bob]
config = "agent.toml"
"""


def test_of_a_tree_the_agent_that_is_named_answers_and_the_tree_stops_in_order(tmp_path: Path) -> None:
    one_answer(tmp_path, 'say = "It is 42."')
    write(tmp_path, tree_toml=TREE)
    ran = anima(tmp_path, "run", "tree.toml", "--agent", "bob", "-v", "x")
    assert (ran.returncode, ran.stdout) == (0, "It is 42.\n")
    assert ran.stderr.index("office/bob #1 stopped") < ran.stderr.index("office/ada #1 stopped")


def test_of_a_tree_with_several_agents_one_has_to_be_named(tmp_path: Path) -> None:
    one_answer(tmp_path, 'say = "x"')
    write(tmp_path, tree_toml=TREE)
    ran = anima(tmp_path, "run", "tree.toml", "x")
    assert ran.returncode == 2
    assert "office/ada, office/bob" in ran.stderr


def test_a_closed_stdout_ends_it_without_a_traceback(tmp_path: Path) -> None:
    one_answer(tmp_path, f'say = "{"word " * 5000}"')
    with started(tmp_path, "run", "agent.toml", "x") as process:
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=15)
    assert "Traceback" not in err
    assert process.returncode in (0, 1)


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell, in which `anima` is ours."""
    env = environment(PATH=f"{Path(ANIMA).parent}:{os.environ['PATH']}")
    return subprocess.run(
        ["sh", "-c", line],
        cwd=folder,
        env=env,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def test_an_answer_that_cannot_be_written_parks_the_run_which_can_be_gone_on_with(tmp_path: Path) -> None:
    more = '\n[[answers]]\nsay = "The second half."\n'
    script = 'say = "The first half."\ncalls = [{ name = "clock" }]' + more
    one_answer(tmp_path, script, agent='[tools]\nenabled = ["clock"]\n')
    ran = shell(tmp_path, "anima run agent.toml go > /dev/full")
    assert ran.returncode == 1
    assert "cannot be written: OSError: [Errno 28]" in ran.stderr
    resume = re.search(r"is parked: `(anima runs resume .*)` goes on", ran.stderr)
    assert resume is not None, ran.stderr
    assert shell(tmp_path, resume[1]).stdout.endswith("The second half.\n")


@pytest.mark.parametrize("nowhere", ["2>&-", "2>/dev/full"])
def test_an_error_output_that_takes_nothing_hinders_nothing(tmp_path: Path, nowhere: str) -> None:
    one_answer(tmp_path, 'say = "Hello."')
    ran = shell(tmp_path, f"anima run agent.toml go -v {nowhere}")
    assert (ran.returncode, ran.stdout) == (0, "Hello.\n")


def test_the_program_can_be_used_in_a_pipe(tmp_path: Path) -> None:
    one_answer(tmp_path, 'say = "b\\na"')
    assert shell(tmp_path, "echo x | anima run agent.toml - | sort").stdout == "a\nb\n"
