"""The tools floor: what models may call."""

from ._calls import ToolCall, ToolResult

__all__ = ["ToolCall", "ToolResult"]
