"""What a run has come to, in one HTML file; and runs beside each other."""

from __future__ import annotations

from collections.abc import Iterator

from gankit import Command, hookimpl


@hookimpl
def gankit_commands() -> Iterator[Command]:
    """Yield the commands of this plugin."""
    yield Command(
        "report", "gankit_report.cli.report:report", "Show a run in one HTML file."
    )
    yield Command(
        "compare", "gankit_report.cli.compare:compare", "Put runs beside each other."
    )
