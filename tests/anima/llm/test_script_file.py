"""Scripts as files: what they mean, and that whatever is wrong in them is told with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anima.llm import (
    BadRequest,
    Finish,
    FinishReason,
    ModelRequest,
    ModelSpec,
    RateLimited,
    Retry,
    TextDelta,
    Usage,
    UserMessage,
    load_script,
    open_models,
)
from anima.testing import Call, End, Fail, Say, Think, Wait, When
from anima_supervisors import BadSpec

SCRIPT = """
repeat = true

[[answers]]
when = "weather"
wait = 0.5
think = "I should look."
signature = "s"
say = "One moment."
size = 4
calls = [{ name = "http", arguments = { url = "x" } }, { name = "echo", arguments = "{", id = "mine" }]

[[answers]]
say = ["Ha", "lf"]
fail = "RateLimited"
what = "slow down"
status = 429
retry_after = 2

[[answers]]
say = "Sunny."
finish = "length"
usage = { input_tokens = 120, output_tokens = 4 }
"""


def asked(text: str) -> ModelRequest:
    return ModelRequest(messages=[UserMessage(text)])


def test_a_script_says_all_that_python_can(tmp_path: Path) -> None:
    file = tmp_path / "script.toml"
    file.write_text(SCRIPT)
    script = load_script(file)
    assert script.repeat
    assert script.answers == (
        When(
            "weather",
            [
                Wait(0.5),
                Think("I should look.", "s"),
                Say("One moment.", 4),
                Call("http", {"url": "x"}),
                Call("echo", "{", "mine"),
            ],
        ),
        When("", [Say("Ha", 2), Say("lf", 2), Fail(RateLimited, "slow down", 429, 2)]),
        When("", [Say("Sunny."), End(FinishReason.LENGTH, Usage(120, 4))]),
    )


def test_json_says_the_same(tmp_path: Path) -> None:
    file = tmp_path / "script.json"
    file.write_text(json.dumps({"answers": [{"say": "a"}]}))
    assert load_script(file).answers == (When("", [Say("a")]),)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "answers: must be a list of tables, one at least"),
        ("answers = 1", "answers: must be a list, not 1"),
        ("repaet = true\n[[answers]]\nsay='a'", r"repaet: unknown key \(did you mean 'repeat'\?\)"),
        ("[[answers]]\nsays = 'a'", r"answers\[0\].says: unknown key \(did you mean 'say'\?\)"),
        ("[[answers]]\nsay = 'a'\n[[answers]]\nsay = 1", r"answers\[1\].say: must be a text or a list, not 1"),
        ("[[answers]]\nsay = ['a', 2]", r"answers\[0\].say\[1\]: must be a text, not 2"),
        ("[[answers]]\nsay = 'a'\nsize = 0", r"answers\[0\].size: must be 1 or more"),
        ("[[answers]]\nsay = 'a'\nwait = true", r"answers\[0\].wait: must be a number, not True"),
        ("[[answers]]\nsay = 'a'\nwait = -1", r"answers\[0\].wait: a wait must be"),
        ("[[answers]]\nwhen = '('\nsay = 'a'", r"answers\[0\].when: .*no regular expression"),
        ("[[answers]]\nwhen = 'x'", r"answers\[0\]: says nothing"),
        ("[[answers]]\nfail = 'RateLimit'", r"answers\[0\].fail: .*did you mean 'RateLimited'"),
        ("[[answers]]\nfail = 'BadKey'\nfinish = 'stop'", r"answers\[0\].fail: .*no finish"),
        ("[[answers]]\nsay = 'a'\nretry_after = 1", r"answers\[0\].retry_after: means nothing without 'fail'"),
        ("[[answers]]\nsay = 'a'\nfinish = 'end'", r"answers\[0\].finish: 'end' is not known"),
        ("[[answers]]\nsay = 'a'\nusage = {tokens = 1}", r"answers\[0\].usage.tokens: unknown key"),
        ("[[answers]]\ncalls = [{}]", r"answers\[0\].calls\[0\]: needs a name"),
        ("[[answers]]\ncalls = [1]", r"answers\[0\].calls\[0\]: must be a table, not 1"),
        ("[[answers]", r"script.toml: .*line 1"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, fault: str, tmp_path: Path) -> None:
    file = tmp_path / "script.toml"
    file.write_text(text)
    with pytest.raises(BadSpec, match=fault) as caught:
        load_script(file)
    assert all(str(file) in fault for fault in caught.value.faults)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "script.toml"
    file.write_text("x = 1\n[[answers]]\nsay = 1\n[[answers]]\nfail = 'No'")
    with pytest.raises(BadSpec) as caught:
        load_script(file)
    assert len(caught.value.faults) == 4


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSpec, match=r"none\.toml: cannot be read: No such file"):
        load_script(tmp_path / "none.toml")


async def test_a_file_drives_a_model_and_those_that_share_it(tmp_path: Path) -> None:
    file = tmp_path / "script.toml"
    file.write_text("[[answers]]\nsay = 'one'\n[[answers]]\nsay = 'two'")
    spec = ModelSpec(provider="scripted", file=file)
    async with open_models() as models:
        first, second = models.get(spec), models.get(spec)
        assert [event async for event in first.stream(asked("a"))] == [
            TextDelta("one"),
            Finish(FinishReason.STOP, Usage(1, 1), "scripted", "scripted"),
        ]
        assert TextDelta("two") in [event async for event in second.stream(asked("b"))]
        with pytest.raises(BadRequest, match="the script has 2 answers; this is request 3"):
            await anext(first.stream(asked("c")))


async def test_a_file_that_is_wrong_fails_the_request(tmp_path: Path) -> None:
    spec = ModelSpec(provider="scripted", file=tmp_path / "none.toml", retry=Retry(max_retries=0))
    async with open_models() as models:
        with pytest.raises(BadRequest, match=r"its script cannot be used: .*none\.toml"):
            await anext(models.get(spec).stream(asked("a")))
