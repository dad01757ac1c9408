"""The tree as its first events tell it, for as long as there is no supervisor yet that could be asked."""

from __future__ import annotations

from anima_supervisors import Event, Exited, Snapshot, Started, StartFailed, StartIgnored, Starting, State

_STATES: dict[type[Event], State] = {
    Starting: State.STARTING,
    Started: State.UP,
    StartFailed: State.DOWN,
    StartIgnored: State.DOWN,
    Exited: State.DOWN,
}


class EarlyTree:
    """Follows a first start, event by event."""

    def __init__(self) -> None:
        self._nodes: dict[str, tuple[State, int]] = {}

    def add(self, event: Event) -> None:
        state = _STATES.get(type(event))
        if state is not None:
            self._nodes[event.path] = (state, event.incarnation)

    def snapshot(self) -> Snapshot | None:
        """What is known so far; None before the first event."""
        nodes = list(self._nodes.items())  # events come in from another thread
        below: dict[str, list[str]] = {}
        for path, _ in nodes:
            below.setdefault(path.rpartition("/")[0], []).append(path)
        return self._node(nodes[0][0], dict(nodes), below) if nodes else None

    def _node(self, path: str, nodes: dict[str, tuple[State, int]], below: dict[str, list[str]]) -> Snapshot:
        state, incarnation = nodes[path]
        children = below.get(path, [])
        return Snapshot(
            path=path,
            kind="supervisor" if children else "task",
            state=state,
            incarnation=incarnation,
            uptime=None,
            last_error=None,
            children=tuple(self._node(child, nodes, below) for child in children),
        )
