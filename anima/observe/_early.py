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
        root = next(iter(self._nodes), None)
        return None if root is None else self._node(root)

    def _node(self, path: str) -> Snapshot:
        state, incarnation = self._nodes[path]
        below = [other for other in self._nodes if other.rpartition("/")[0] == path]
        return Snapshot(
            path=path,
            kind="supervisor" if below else "task",
            state=state,
            incarnation=incarnation,
            uptime=None,
            last_error=None,
            children=tuple(self._node(child) for child in below),
        )
