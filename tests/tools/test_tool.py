"""A typed function becomes a tool: its schema, what it is given, what it returns, how long it may take."""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import threading
from pathlib import Path
from typing import Annotated, Any, Literal

import attrs
import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from anima_tools import Arguments, BadArguments, BadTool, Effect, Invocation, Tool, ToolTimeout, Workspace, tool


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Point:
    x: int
    y: float = 0.0
    title: str = ""


@dataclasses.dataclass
class Branch:
    name: str
    below: list[Branch] = dataclasses.field(default_factory=list)


@tool
def everything(
    text: str,
    number: Annotated[float, "how much"],
    colour: Colour = Colour.RED,
    mode: Literal["fast", "slow"] = "fast",
    maybe: int | None = None,
    names: list[str] = [],  # noqa: B006 -- what people write
    table: dict[str, int] | None = None,
    point: Point | None = None,
) -> str:
    """Do everything.

    At once.

    Args:
        text: what to do,
            over two lines
        number: not this text
        mode (str): how

    Returns:
        Nothing of interest.
    """
    return repr((text, number, colour, mode, maybe, names, table, point))


@pytest.fixture
def invocation(tmp_path: Path) -> Invocation:
    return Invocation("key", Workspace(tmp_path, tmp_path / "outputs"), "me")


def faults(tool: Tool, arguments: str) -> str:
    with pytest.raises(BadArguments) as caught:
        tool.check(arguments)
    return str(caught.value)


# The schema


def test_the_schema_comes_from_the_signature_and_the_docstring() -> None:
    assert everything.name == "everything"
    assert everything.description == "Do everything.\n\nAt once."
    assert everything.effect is Effect.EXTERNAL
    assert (everything.deadline, everything.output_cap) == (30.0, 20_000)
    assert everything.input_schema == {
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "what to do, over two lines"},
            "number": {"type": "number", "description": "how much"},
            "colour": {"type": "string", "enum": ["blue", "red"], "default": "red"},
            "mode": {"type": "string", "enum": ["fast", "slow"], "default": "fast", "description": "how"},
            "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            "names": {"type": "array", "items": {"type": "string"}, "default": []},
            "table": {
                "anyOf": [{"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "null"}],
                "default": None,
            },
            "point": {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {
                            "x": {"type": "integer"},
                            "y": {"type": "number", "default": 0.0},
                            "title": {"type": "string", "default": ""},
                        },
                        "required": ["x"],
                        "additionalProperties": False,
                    },
                    {"type": "null"},
                ],
                "default": None,
            },
        },
        "required": ["text", "number"],
        "additionalProperties": False,
    }


def test_a_type_that_contains_itself_keeps_its_definition() -> None:
    @tool
    def plant(tree: Branch) -> str:
        """Plant a tree."""
        return f"{tree.name} {tree.below[0].name}"

    schema = plant.input_schema
    assert schema["$defs"]["Branch"]["properties"]["below"]["items"] == {"$ref": "#/$defs/Branch"}
    arguments = plant.check('{"tree": {"name": "a", "below": [{"name": "b"}]}}')
    assert plant(**arguments.values) == "a b"
    assert "tree.below[0].nam: unknown; did you mean 'name'?" in faults(
        plant, '{"tree": {"name": "a", "below": [{"nam": "b"}]}}'
    )


def test_two_types_of_one_name_are_kept_apart() -> None:
    def both(one: Any, two: Any) -> None:
        """Take both."""

    one = both.__annotations__["one"] = attrs.make_class("Kind", {"a": attrs.field(type=int)})
    both.__annotations__["two"] = attrs.make_class("Kind", {"b": attrs.field(type=str)})
    with pytest.raises(BadTool, match="two of its types have the same name"):
        _ = tool(both).input_schema
    one.__module__ = "another.module"
    properties = tool(both).input_schema["properties"]
    assert [list(properties[name]["properties"]) for name in ("one", "two")] == [["a"], ["b"]]


def test_methods_partials_and_closures_become_tools() -> None:
    class Account:
        def __init__(self) -> None:
            self.balance = 0

        def put(self, amount: int) -> int:
            """Put money in."""
            self.balance += amount
            return self.balance

    account = Account()
    put = tool(account.put, name="put_money", effect=Effect.IDEMPOTENT)
    assert put.name == "put_money"
    assert list(put.input_schema["properties"]) == ["amount"]
    assert put(2) == account.balance == 2
    half = tool(functools.partial(Account.put, account))
    assert half.name == "put"
    assert list(half.input_schema["properties"]) == ["amount"]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: tool(lambda: 1), "a name has"),
        (lambda: tool(lambda: 1, name="one"), "no description"),
        (lambda: tool(lambda: 1, name="one two", description="x"), "a name has"),
        (lambda: tool(lambda: 1, name="one", description="x", deadline=0), "deadline"),
        (lambda: tool(lambda: 1, name="one", description="x", deadline=float("nan")), "deadline"),
        (lambda: tool(lambda: 1, name="one", description="x", output_cap=10), "output_cap"),
        (lambda: tool(lambda: 1, name="one", description="x", effect="pure"), "effect"),  # type: ignore[call-overload]
        (lambda: tool(lambda a: 1, name="one", description="x").input_schema, "'a' has no type; annotate it"),
        (lambda: tool(lambda self: 1, name="one", description="x").input_schema, "bound method"),
        (lambda: tool(lambda *a: 1, name="one", description="x").input_schema, "without \\* and /"),
        (lambda: tool(lambda **a: 1, name="one", description="x").input_schema, "without \\* and /"),
    ],
)
def test_what_cannot_be_a_tool_is_refused(make: Any, says: str) -> None:
    with pytest.raises(BadTool, match=says):
        make()


def test_a_type_without_a_schema_is_refused_by_name() -> None:
    def watch(event: threading.Event) -> None:
        """Watch."""

    with pytest.raises(BadTool, match=r"tool watch, parameter 'event': .*Event.* has no JSON schema"):
        _ = tool(watch).input_schema


def test_a_type_that_cannot_be_found_is_refused() -> None:
    class Local:
        pass

    def use(thing: Local) -> None:
        """Use."""

    with pytest.raises(BadTool, match="at the top of its module"):
        _ = tool(use).input_schema


# Arguments


def test_arguments_become_the_types_of_the_parameters() -> None:
    arguments = everything.check('{"text": "a", "number": 1, "colour": "blue", "point": {"x": 1, "y": 2}}')
    assert arguments.values == {"text": "a", "number": 1.0, "colour": Colour.BLUE, "point": Point(1, 2.0)}
    assert isinstance(arguments.values["number"], float)


def test_what_models_do_wrong_without_harm_is_taken() -> None:
    arguments = everything.check('{"text": "a", "number": 1, "maybe": 3.0, "mode": null, "names": null}')
    assert arguments.values == {"text": "a", "number": 1.0, "maybe": 3}
    assert isinstance(arguments.values["maybe"], int)


def test_no_text_means_no_arguments() -> None:
    @tool
    def now(zone: str = "UTC") -> str:
        """Tell."""
        return zone

    assert now.check("") == now.check(" \n") == now.check("{}") == Arguments({}, "{}")


def test_all_faults_are_told_at_once_with_place_expectation_and_finding() -> None:
    said = faults(everything, '{"txt": "a", "number": "3", "mode": "medium", "names": ["a", 1], "point": {"x": true}}')
    assert said.startswith("the arguments of everything are wrong: ")
    assert "text: missing, expected string" in said
    assert "txt: unknown; did you mean 'text'?" in said
    assert 'number: expected number, got string "3"' in said
    assert 'mode: expected one of "fast", "slow", got string "medium"' in said
    assert "names[1]: expected string, got integer 1" in said
    assert "point.x: expected integer, got boolean true" in said


def test_a_union_says_all_that_it_takes() -> None:
    assert 'maybe: expected integer or null, got string "x"' in faults(
        everything, '{"text": "a", "number": 1, "maybe": "x"}'
    )


@pytest.mark.parametrize(
    "text", ['{"text": "a",}', "{", "text=a", '{"text": NaN}', "[" * 100_000, '"\\ud800', "\ud800"]
)
def test_what_is_not_json_is_told(text: str) -> None:
    assert "they are not JSON" in faults(everything, text)


def test_keys_and_constants_have_their_types() -> None:
    @tool
    def price(table: dict[int, float], sign: Literal[0, 1] = 1) -> str:
        """Price."""
        return ""

    assert price.check('{"table": {"1": 2}}').values == {"table": {1: 2.0}}
    assert "sign: expected one of 0, 1, got boolean true" in faults(price, '{"table": {}, "sign": true}')
    assert "table, a key: expected `int`, got `str`" in faults(price, '{"table": {"a": 2}}')


def test_limits_of_numbers_are_told_with_their_place() -> None:
    @tool
    def rate(stars: list[Annotated[int, msgspec.Meta(le=5)]]) -> str:
        """Rate."""
        return ""

    assert rate.input_schema["properties"]["stars"]["items"] == {"type": "integer", "maximum": 5}
    assert "stars[1]: expected `int` <= 5" in faults(rate, '{"stars": [1, 6]}')


def test_what_is_no_object_is_told() -> None:
    assert "expected one JSON object, got array [1]" in faults(everything, "[1]")


def test_calls_that_ask_for_the_same_have_the_same_canonical_arguments() -> None:
    one = everything.check('{"text": "é", "number": 1, "maybe": 3.0}')
    two = everything.check('{ "maybe": 3, "number": 1, "mode": null, "text": "\\u00e9"}')
    assert one.canonical == two.canonical == '{"maybe":3,"number":1,"text":"é"}'


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["text", "number", "colour", "mode", "maybe", "names", "table", "point", "other"])


@given(st.dictionaries(KEYS, JSON))
def test_any_json_is_taken_or_refused_in_words(values: dict[str, Any]) -> None:
    try:
        arguments = everything.check(json.dumps(values))
    except BadArguments as error:
        assert error.faults
    else:
        assert isinstance(everything(**arguments.values), str)
        assert everything.check(arguments.canonical) == arguments


# Running


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("as it is", "as it is"),
        (None, "done"),
        ({"a": [1, 2.5, None, True]}, '{"a":[1,2.5,null,true]}'),
        (Branch("é"), '{"name":"é","below":[]}'),
        (Colour.RED, '"red"'),
        (Path("a/b"), '"a/b"'),
        (10**30, "1" + "0" * 30),
        ("", ""),
    ],
)
async def test_a_result_becomes_text(value: object, text: str, invocation: Invocation) -> None:
    async def give() -> Any:
        return value

    assert await tool(give, description="Give.").run(Arguments(), invocation) == text


async def test_an_invocation_is_given_and_is_no_part_of_the_schema(invocation: Invocation) -> None:
    @tool
    async def whoami(run: Invocation, polite: bool = False) -> str:
        """Tell."""
        return f"{run.agent} {run.key} {polite}"

    assert list(whoami.input_schema["properties"]) == ["polite"]
    assert await whoami.run(whoami.check('{"polite": true}'), invocation) == "me key True"
    assert "run: unknown" in faults(whoami, '{"run": {}}')


async def test_what_is_not_async_runs_in_a_thread_and_the_rest_on_the_loop(invocation: Invocation) -> None:
    here = threading.get_ident()

    @tool
    def beside() -> bool:
        """Tell."""
        return threading.get_ident() == here

    @tool
    async def on_loop() -> bool:
        """Tell."""
        return threading.get_ident() == here

    assert await beside.run(Arguments(), invocation) == "false"
    assert await on_loop.run(Arguments(), invocation) == "true"


async def test_an_async_function_behind_another_one_is_awaited(invocation: Invocation) -> None:
    async def inner() -> str:
        await trio.lowlevel.checkpoint()
        return "inner"

    class Asked:
        async def __call__(self) -> str:
            """Ask."""
            return await inner()

    assert await tool(lambda: inner(), name="outer", description="x").run(Arguments(), invocation) == "inner"
    assert await tool(Asked(), name="asked").run(Arguments(), invocation) == "inner"
    with pytest.raises(BadTool, match="give it one: name="):
        tool(Asked())


async def test_a_tool_is_cancelled_at_its_deadline(
    autojump_clock: trio.testing.MockClock, invocation: Invocation
) -> None:
    cancelled = []

    @tool(deadline=5)
    async def wait() -> None:
        """Wait."""
        try:
            await trio.sleep_forever()
        finally:
            cancelled.append(trio.current_time())

    start = trio.current_time()
    with pytest.raises(ToolTimeout, match="wait did not finish within 5 s"):
        await wait.run(Arguments(), invocation)
    assert cancelled == [start + 5]


async def test_a_timeout_of_the_tool_itself_is_its_own(invocation: Invocation) -> None:
    @tool
    async def wait() -> None:
        """Wait."""
        raise trio.TooSlowError

    with pytest.raises(trio.TooSlowError):
        await wait.run(Arguments(), invocation)


async def test_a_thread_that_hangs_is_left_at_the_deadline_and_holds_its_place(invocation: Invocation) -> None:
    go = threading.Event()
    limiter = trio.CapacityLimiter(1)

    @tool(deadline=0.02)
    def hang() -> None:
        """Hang."""
        go.wait()

    try:
        with pytest.raises(ToolTimeout, match="did not finish"):
            await hang.run(Arguments(), invocation, limiter=limiter)
        with pytest.raises(ToolTimeout, match=r"did not start within 0\.02 s: earlier tools hold all threads"):
            await hang.run(Arguments(), invocation, limiter=limiter)
    finally:
        go.set()
    async with limiter:
        pass  # the thread is over
