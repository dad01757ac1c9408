"""What a run came to: starts, restarts, the longest outage, the order of the stop."""

from __future__ import annotations

from anima_supervisors import Event, Exited, Started, StartFailed, Stuck


class Summary:
    """Adds up events."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._starts = 0
        self._restarts = 0
        self._failed_starts = 0
        self._down_since: dict[str, float] = {}
        self._longest: tuple[float, str] | None = None
        self._stop_order: list[str] = []
        self._stuck: list[str] = []

    def add(self, event: Event) -> None:
        match event:
            case Started():
                self._starts += 1
                self._restarts += event.incarnation > 1
                self._stop_order.clear()  # what is left at the end are the exits since the last start
                since = self._down_since.pop(event.path, None)
                if since is not None and (self._longest is None or event.time - since > self._longest[0]):
                    self._longest = (event.time - since, event.path)
            case StartFailed():
                self._failed_starts += 1
            case Exited():
                if event.stopped:
                    self._stop_order.append(event.path)
                else:
                    self._down_since[event.path] = event.time
            case Stuck():
                self._stuck.append(event.path)
            case _:
                pass

    def lines(self) -> list[str]:
        lines = [f"starts         {self._starts}", f"restarts       {self._restarts}"]
        if self._failed_starts:
            lines.append(f"failed starts  {self._failed_starts}")
        if self._longest is not None:
            seconds, path = self._longest
            lines.append(f"longest outage {seconds * 1000:.0f} ms ({path})")
        stopped = [path for path in self._stop_order if path != self._root]
        if stopped:
            lines.append(f"stop order     {self._names(stopped)}")
        if self._stuck:
            lines.append(f"stuck          {self._names(self._stuck)}")
        return lines

    def _names(self, paths: list[str]) -> str:
        return " ".join(path.removeprefix(f"{self._root}/") for path in paths)
