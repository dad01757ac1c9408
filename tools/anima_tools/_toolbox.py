"""The set of tools that one agent has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import trio

from ._calls import Arguments, ToolCall, ToolResult, ToolSpec
from ._errors import BadArguments, BadTool, UnknownTool, text_of
from ._invocation import Invocation
from ._output import fitted
from ._tool import Tool

#: Tools in threads that run at once: also those that nobody waits for any more.
THREADS = 8


class Toolbox:
    """Tools by name, and how their calls are answered. Without tools it is a valid one: the agent has none.

    Tools that are not async run in at most `threads` threads at once. These are its own, so that tools that hang take
    no thread from others. Raises `BadTool` for two tools with one name, and for tools whose types cannot be used.
    """

    def __init__(self, tools: Iterable[Tool] = (), *, threads: int = THREADS) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if not isinstance(tool, Tool):
                raise BadTool(f"{tool!r} is no tool; put @tool above the function")
            if tool.name in self._tools:
                raise BadTool(f"two tools are called {tool.name!r}; give one of them another name: tool(..., name=...)")
            self._tools[tool.name] = tool
        #: what a model is told about them, in their order
        self.specs: tuple[ToolSpec, ...] = tuple(tool.spec for tool in self._tools.values())
        self._limiter = trio.CapacityLimiter(threads)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __repr__(self) -> str:
        return f"<Toolbox {' '.join(self._tools) or 'without tools'}>"

    def get(self, name: str) -> Tool:
        """The tool of this name. Raises `UnknownTool`."""
        try:
            return self._tools[name]
        except KeyError:
            raise UnknownTool(name, self._tools) from None

    def check(self, call: ToolCall) -> Arguments:
        """The arguments of a call, validated, before it is recorded and run. Raises `UnknownTool`, `BadArguments`."""
        return self.get(call.name).check(call.arguments)

    async def run(self, call: ToolCall, invocation: Invocation) -> ToolResult:
        """Check a call and run it. Whatever goes wrong is a failed result that says so: see `run_checked`."""
        try:
            arguments = self.check(call)
        except (UnknownTool, BadArguments) as error:
            await trio.lowlevel.checkpoint()
            return ToolResult(call.id, call.name, str(error), failed=True)
        return await self.run_checked(call, arguments, invocation)

    async def run_checked(self, call: ToolCall, arguments: Arguments, invocation: Invocation) -> ToolResult:
        """Run a call whose arguments are checked. No `Exception` comes out of it: an error is a failed result.

        A result longer than the tool's `output_cap` is shortened, and the whole of it kept in the workspace. Waits no
        longer than the tool's deadline, and then for the disk. Cancelled, see `Tool.run`; the result is lost.
        """
        tool = self._tools.get(call.name)
        if tool is None:
            await trio.lowlevel.checkpoint()
            return ToolResult(call.id, call.name, str(UnknownTool(call.name, self._tools)), failed=True)
        try:
            text, failed = await tool.run(arguments, invocation, limiter=self._limiter), False
        except (Exception, SystemExit) as error:  # libraries for command lines exit where others raise
            text, failed = text_of(error), True
        except BaseExceptionGroup as group:
            raise _without_errors(group) from None
        output = await fitted(text, tool.output_cap, invocation.workspace.outputs)
        return ToolResult(call.id, call.name, output.text, failed, output.handle)


def _without_errors(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What has to pass, of a group that has more than errors in it: a cancellation, an interrupt.

    The errors in it would pass as well otherwise, where a scope takes the cancellation out.
    """
    return group.subgroup(lambda error: not isinstance(error, (Exception, BaseExceptionGroup))) or group
