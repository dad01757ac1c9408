"""A tree file as a drawing, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator

from anima_supervisors import After, ChildSpec, Kill, StopPolicy, SupervisorSpec, unreachable_limits

from ._tree import Tree


def outline(tree: Tree) -> str:
    """The tree in text: a line for each child with what it is and how it restarts and stops."""
    lines = [f"{tree.root}  {_supervisor(tree.spec)}", *_children(tree.spec, "")]
    return "\n".join(lines)


def notes(tree: Tree) -> list[str]:
    """What is allowed but probably not meant."""
    limits = [
        f"{path}: its backoff waits so long that its restart limit is hardly ever reached"
        for path in unreachable_limits(tree.spec, tree.root)
    ]
    return [*limits, *(f"{path}: {note}" for path, agent in tree.agents.items() for note in agent.notes)]


def _children(spec: SupervisorSpec, indent: str) -> Iterator[str]:
    for child in spec.children:
        last = child is spec.children[-1]
        yield f"{indent}{'└─ ' if last else '├─ '}{child.id}  {_child(child)}"
        if isinstance(child.start, SupervisorSpec):
            yield from _children(child.start, indent + ("   " if last else "│  "))


def _child(child: ChildSpec) -> str:
    what = _supervisor(child.start) if isinstance(child.start, SupervisorSpec) else getattr(child.start, "kind", "task")
    words = [what, child.restart.value, f"shutdown {_policy(child.shutdown)}"]
    return "  ".join([*words, "significant"] if child.significant else words)


def _supervisor(spec: SupervisorSpec) -> str:
    return f"{spec.strategy.value}, {spec.intensity} restarts in {spec.period:g} s" + (
        ", backoff" if spec.backoff is not None else ""
    )


def _policy(policy: StopPolicy) -> str:
    match policy:
        case After(seconds):
            return f"{seconds:g} s"
        case Kill():
            return "kill"
        case _:
            return "never"
