"""A subcommand of ``gankit``, imported only when it is called."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import instance_of


@frozen
class Command:
    """A click command that a plugin adds.

    ``target`` is ``"module:attribute"``; ``summary`` stands in ``gankit --help``, so
    that showing the help imports no command.
    """

    name: str = field(validator=instance_of(str))
    target: str = field(validator=instance_of(str))
    summary: str = field(validator=instance_of(str))
