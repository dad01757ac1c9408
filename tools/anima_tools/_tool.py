"""A tool: a typed function that a model may call."""

from __future__ import annotations

import functools
import inspect
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, overload

import attrs
import trio

from ._calls import Arguments, Effect, ToolSpec
from ._docstring import parse_docstring
from ._errors import BadTool, ToolTimeout
from ._invocation import Invocation
from ._output import as_text
from ._signature import Signature, inner_function, read_signature

#: What every provider takes for a name.
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
#: The line between head and tail of a shortened output has to fit.
SMALLEST_CAP = 256


@attrs.frozen(slots=False, eq=False)
class Tool:
    """A function with what a model, and whoever runs it, needs to know about it. Made by `tool`.

    It can be called like the function that it is made of. Its types are looked at when they are first needed, or when
    a `Toolbox` takes it.
    """

    function: Callable[..., Any] = attrs.field(repr=False)
    name: str
    description: str = attrs.field(repr=False)
    effect: Effect
    #: seconds that a run may take
    deadline: float
    #: characters of its result that a model is given
    output_cap: int

    def __attrs_post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise BadTool(f"tool {self.name!r}: a name has 1 to 64 letters, digits, _ and -; give it one: name=...")
        if not self.description.strip():
            raise BadTool(f"tool {self.name} has no description; give its function a docstring")
        if not isinstance(self.effect, Effect):
            raise BadTool(f"tool {self.name}: effect must be an Effect, not {self.effect!r}")
        if not (isinstance(self.deadline, (int, float)) and 0 < self.deadline <= math.inf):
            raise BadTool(f"tool {self.name}: deadline must be a number of seconds above 0, not {self.deadline!r}")
        if not (isinstance(self.output_cap, int) and self.output_cap >= SMALLEST_CAP):
            raise BadTool(f"tool {self.name}: output_cap must be {SMALLEST_CAP} or more, not {self.output_cap!r}")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function itself: nothing is checked, in no thread, without a deadline."""
        return self.function(*args, **kwargs)

    @property
    def input_schema(self) -> Mapping[str, Any]:
        """The JSON schema (draft 2020-12) of its arguments: an object. Raises `BadTool`."""
        return self._signature.schema

    @property
    def spec(self) -> ToolSpec:
        """What a model is told about it. Raises `BadTool`."""
        return ToolSpec(self.name, self.description, self.input_schema)

    def check(self, arguments: str) -> Arguments:
        """Parse and validate what a model wrote; an empty text means no arguments. Raises `BadArguments`.

        What models do wrong without harm is taken: 3 for 3.0 and the reverse, null for what may be left out.
        """
        return self._signature.read(arguments)

    async def run(
        self, arguments: Arguments, invocation: Invocation, *, limiter: trio.CapacityLimiter | None = None
    ) -> str:
        """Run it; its whole result as text.

        A function that is not async runs in a thread, `limiter` says how many at once. Cancelled, or at its deadline,
        an async one is cancelled; a thread is left to itself and its result is dropped.

        Raises `ToolTimeout`, and whatever the function raises.
        """
        values = dict(arguments.values)
        if self._signature.given is not None:
            values[self._signature.given] = invocation
        began = False

        def call() -> Any:
            nonlocal began
            began = True
            return self.function(**values)

        with trio.move_on_after(self.deadline):
            if _is_async(self.function):
                result = await call()
            else:
                # In a list, since Trio takes a coroutine that comes out of a thread for a mistake.
                (result,) = await trio.to_thread.run_sync(lambda: [call()], abandon_on_cancel=True, limiter=limiter)
                if inspect.isawaitable(result):  # it is made of an async one, by a lambda or a decorator
                    result = await result
            return as_text(result)
        if not began:
            raise ToolTimeout(f"{self.name} did not start within {self.deadline:g} s: earlier tools hold all threads")
        raise ToolTimeout(f"{self.name} did not finish within {self.deadline:g} s")

    @functools.cached_property
    def _signature(self) -> Signature:
        return read_signature(self.function, self.name)


@overload
def tool(
    function: Callable[..., Any],
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    effect: Effect = Effect.EXTERNAL,
    deadline: float = 30.0,
    output_cap: int = 20_000,
) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    effect: Effect = Effect.EXTERNAL,
    deadline: float = 30.0,
    output_cap: int = 20_000,
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    effect: Effect = Effect.EXTERNAL,
    deadline: float = 30.0,
    output_cap: int = 20_000,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a function: `@tool`, `@tool(effect=...)`, or `tool(object.method, name=...)`.

    Its schema comes from the signature, the texts in it from the docstring (with a section `Args:`) or from
    `Annotated[T, "text"]`. A parameter of type `Invocation` is given, and no part of the schema. A function that is not
    async runs in a thread.

    Raises `BadTool`; what is wrong with its types is found when a `Toolbox` takes it.
    """

    def make(function: Callable[..., Any]) -> Tool:
        inner = inner_function(function)
        found = parse_docstring(inspect.getdoc(inner))[0] if description is None else description
        own_name = "" if inner.__name__ == "__call__" else inner.__name__
        found_name = own_name if name is None else name
        return Tool(function, found_name, found, effect, deadline, output_cap)

    return make if function is None else make(function)


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(inner_function(function))
