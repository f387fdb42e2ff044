"""A subcommand of ``gankit``, imported only when it is called."""

from __future__ import annotations

from attrs import frozen


@frozen
class Command:
    """A click command that a plugin adds.

    ``target`` is ``"module:attribute"``; ``summary`` stands in ``gankit --help``, so
    that showing the help imports no command.
    """

    name: str
    target: str
    summary: str
