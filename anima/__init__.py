"""Anima: a home that AI agents live in.

Floors, from the top; each imports only from those below it:

- `anima.cli`: the command line
- `anima.config`: TOML files into frozen specs, every error with its key path
- `anima.observe`: events to the terminal, to JSON lines, to a summary
- `anima.hub`: how actors find each other: names, topics, capabilities
- `anima.actors`: isolated, supervised state behind a mailbox
- `anima_supervisors` and `anima_tools`: two ground floors of their own, independent of each other

Importing this package imports none of them.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
