"""The program of a local server: llama.cpp's, from the xllamacpp wheel, on one thread, for its parent alone.

Run by path with the model file as its argument, and the key that requests need in ANIMA_LOCAL_KEY. The kernel chooses
the port; the line `listening on http://127.0.0.1:PORT` says which. Imports nothing of Anima.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

#: So many requests are answered at once, on the one thread; more wait.
SLOTS = 4
#: Tokens that all of them share; and what may be kept of prompts, in MiB.
CONTEXT = 8192
PROMPT_CACHE = 256


def main() -> None:
    xllamacpp: Any = importlib.import_module("xllamacpp")  # without types, and not always there
    file = Path(sys.argv[1])
    params = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.model_alias = {file.stem}
    params.api_keys = [os.environ.pop("ANIMA_LOCAL_KEY")]
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.ui = False
    params.cpuparams.n_threads = 1
    params.cpuparams_batch.n_threads = 1
    params.n_ctx = CONTEXT
    params.n_parallel = SLOTS
    params.kv_unified = True
    params.cache_ram_mib = PROMPT_CACHE
    params.verbosity = 1
    server = xllamacpp.Server(params)
    sys.stdout.write(f"listening on {server.listening_address}\n")
    sys.stdout.flush()
    while True:
        signal.pause()


if __name__ == "__main__":
    main()
