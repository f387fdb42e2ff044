"""What is shown while something takes long: one line on a terminal, else nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from gankit import Processes


@contextmanager
def shown(processes: Processes) -> Iterator[Callable[[int, int, str], None]]:
    """Give what is told of progress, ``(done, total, text)``, and clean up after it.

    The first process alone speaks.
    """
    if not processes.leads or not sys.stderr.isatty():
        yield lambda done, total, text: None
        return

    def progress(done: int, total: int, text: str) -> None:
        share = f"{done:,} of {total:,}" if total else ""
        click.echo(f"\r\033[K{text}  {share}", nl=False, err=True)

    try:
        yield progress
    finally:
        click.echo("\r\033[K", nl=False, err=True)
