"""`[processes.NAME]`: from the table to the spec of a process, with the probes that it asks for."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anima_supervisors import Alive, ChildSpec, OutputLine, Probe, Ready, TcpPort, process_child

from ._faults import Faults
from ._http import HttpOk
from ._tables import AliveTable, ProcessTable, ReadyTable


class Processes:
    """Builds the processes of a tree file."""

    def __init__(self, folder: Path, faults: Faults) -> None:
        self._folder = folder
        self._faults = faults

    def child(self, name: str, key: str, table: ProcessTable) -> ChildSpec:
        command = list(table.command)
        if command[:1] == ["python"]:
            command[0] = sys.executable
        return process_child(
            name,
            command,
            ready=None if table.ready is None else self._ready(f"{key}.ready", table.ready),
            alive=None if table.alive is None else self._alive(f"{key}.alive", table.alive),
            env=table.env,
            cwd=self._folder / table.cwd,
            restart=table.restart,
            shutdown=table.shutdown,
            significant=table.significant,
        )

    def _ready(self, key: str, table: ReadyTable) -> Ready | None:
        when = self._one(
            key,
            {
                "http": self._http(f"{key}.http", table.http),
                "port": self._port(f"{key}.port", table.port, table.host),
                "line": self._line(f"{key}.line", table.line),
            },
            table,
        )
        return None if when is None else self._faults.checked(key, lambda: Ready(when, table.timeout, table.every))

    def _alive(self, key: str, table: AliveTable) -> Alive | None:
        http = self._http(f"{key}.http", table.http)
        probe = self._one(key, {"http": http, "port": self._port(f"{key}.port", table.port, table.host)}, table)
        if probe is None:
            return None
        return self._faults.checked(key, lambda: Alive(probe, table.every, table.timeout, table.failures))

    def _http(self, key: str, url: str | None) -> Probe | None:
        if url is not None and not url.startswith(("http://", "https://")):
            self._faults.problem(key, f"must be a URL that starts with http:// or https://, not {url!r}")
        return None if url is None else HttpOk(url)

    def _port(self, key: str, port: int | None, host: str) -> Probe | None:
        if port is not None and not 0 < port < 65536:
            self._faults.problem(key, f"must be between 1 and 65535, not {port!r}")
        return None if port is None else TcpPort(port, host)

    def _line(self, key: str, pattern: str | None) -> OutputLine | None:
        return None if pattern is None else self._faults.checked(key, lambda: OutputLine(pattern))

    def _one(self, key: str, choices: Mapping[str, Any], table: object) -> Any:
        """The one probe that the table asks for, if it could be made."""
        asked = [name for name in choices if getattr(table, name) is not None]
        if len(asked) != 1:
            self._faults.problem(key, f"needs exactly one of {', '.join(choices)}")
            return None
        return choices[asked[0]]
