"""Which environment variables a child process gets: few, and no secret."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

#: What programs need to work as usual, and what holds no secret.
USUAL = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TMP", "TEMP", "TZ", "LANG", "LANGUAGE"),
        *("TERM", "COLORTERM", "NO_COLOR", "COLUMNS", "LINES", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONUTF8", "PYTHONIOENCODING", "JAVA_HOME", "GOPATH", "NVM_DIR"),
        *("CARGO_HOME", "RUSTUP_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"),
    }
)


def child_environment(
    environ: Mapping[str, str] | None = None, *, keep: Iterable[str] = (), secrets: Iterable[str] = ()
) -> dict[str, str]:
    """The variables of `environ` (by default our own) that a child process may have.

    These are the usual ones (PATH, HOME, LANG, LC_*, TERM, TZ, TMPDIR, ...) and those named in `keep`; all others are
    left out, since a secret can have any name. Those named in `secrets` are left out whatever else names them, and so
    is every variable that has the value of one of them.
    """
    environ = os.environ if environ is None else environ
    keep, secrets = frozenset(keep), frozenset(secrets)
    values = {environ[name] for name in secrets if environ.get(name)}
    return {
        name: value
        for name, value in environ.items()
        if (name in USUAL or name in keep or name.startswith("LC_")) and name not in secrets and value not in values
    }
