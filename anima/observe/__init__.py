"""Events to the terminal, to JSON lines, to a summary. Adapters only: nothing here decides anything.

- `_record`: an event as data for programs; `_lines`, `_tracebacks`: as lines for people
- `_summary`: what a run came to; `_drawing`, `_early`: a tree on the terminal
- `_outputs`: where it all goes
"""

from ._lines import Line, Lines
from ._outputs import JsonLines, LiveView, Log
from ._record import record, timestamp
from ._summary import Summary
from ._tracebacks import trimmed

__all__ = [
    "JsonLines",
    "Line",
    "Lines",
    "LiveView",
    "Log",
    "Summary",
    "record",
    "timestamp",
    "trimmed",
]
