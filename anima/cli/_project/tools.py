"""A tool of one's own: a function with types and a docstring. `agent.toml` names it `tools:count_words`."""

from anima_tools import Effect, Invocation, tool


@tool(effect=Effect.PURE)
def count_words(file: str, invocation: Invocation) -> int:
    """Count the words of a file.

    Args:
        file: its path in this folder
    """
    path = (invocation.workspace.root / file).resolve()
    if not path.is_relative_to(invocation.workspace.root.resolve()):
        raise ValueError(f"{file} is outside of this folder")
    return len(path.read_text(encoding="utf-8").split())
