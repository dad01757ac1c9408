"""A snapshot as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.table import Table
from rich.text import Text

from anima_supervisors import Snapshot, State

_COLOURS = {
    State.UP: "green",
    State.STARTING: "yellow",
    State.RESTARTING: "yellow",
    State.STOPPING: "cyan",
    State.STUCK: "bold red",
    State.DOWN: "dim",
}
#: Of a supervisor with more children than this only the first ones are shown.
SHOWN_CHILDREN = 20


def table(snapshot: Snapshot, height: int = 1000, budgets: Mapping[str, str] | None = None) -> Table:
    """State, incarnation, restarts in the window against the limit, uptime and last error of each node.

    `budgets`, by path, stand with the last error. At most `height` lines; the last one says how many nodes are not
    shown.
    """
    drawn = Table(box=None, pad_edge=False, header_style="dim")
    # On a narrow terminal the name and the state are what stays.
    for name, width in (("tree", 8), ("state", 10), ("#", None), ("restarts", None), ("uptime", None)):
        drawn.add_column(name, no_wrap=True, overflow="ellipsis", min_width=width)
    drawn.add_column("last error", no_wrap=True, overflow="ellipsis")
    rows = [*_rows(snapshot, "", "")]
    room = max(1, height - 1)  # below the header
    if len(rows) > room:
        rows = [*rows[: room - 1], (f"… {len(rows) - room + 1} more lines", None)]
    for prefix, node in rows:
        if node is None:
            drawn.add_row(Text(prefix, style="dim"))
            continue
        restarts = "" if node.restarts is None else f"{node.restarts}/{node.intensity} in {node.period:g}s"
        drawn.add_row(
            Text(prefix, style="dim") + Text(node.id, style="bold" if node.kind == "supervisor" else ""),
            Text(node.state.value, style=_COLOURS[node.state]),
            str(node.incarnation),
            Text(restarts, style="yellow" if node.restarts else "dim"),
            "" if node.uptime is None else _duration(node.uptime),
            Text((budgets or {}).get(node.path, ""), style="dim") + Text(node.last_error or "", style="red"),
        )
    return drawn


def _rows(node: Snapshot, first: str, rest: str) -> Iterator[tuple[str, Snapshot | None]]:
    """Each line's indent and node; without a node, a line that only says something."""
    yield first, node
    shown = node.children[:SHOWN_CHILDREN]
    for child in shown:
        last = child is shown[-1]
        end = "└─ " if last and len(shown) == len(node.children) else "├─ "
        yield from _rows(child, f"{rest}{end}", f"{rest}{'   ' if end == '└─ ' else '│  '}")
    if len(shown) < len(node.children):
        yield f"{rest}└─ … {len(node.children) - len(shown)} more", None


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"
