"""``gankit check``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import click
from attrs import asdict

from gankit.cli import Context, plugin_options
from gankit.errors import UsageError
from gankit.recipe.overrides import parse_overrides
from gankit.testing.running import Request, Result, results
from gankit.testing.targets import target_of


@click.command()
@click.argument("target", metavar="NAME|DIST|FILE")
@click.argument("options", nargs=-1, metavar="[PART.OPTION=VALUE]...")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=120.0,
    show_default=True,
    help="Seconds that a check may take.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
@plugin_options
@click.pass_obj
def check(
    context: Context,
    target: str,
    options: tuple[str, ...],
    timeout: float,
    as_json: bool,
) -> int:
    """Check that parts keep their contracts: a part, or all of a plugin or a file.

    \b
    gankit check my_loss.py
    gankit check gankit-focal
    gankit check image-folder image-folder.root=pictures

    Every check is made in another process, for `--timeout` seconds at most. Exits with
    1 when a check fails. The same checks are tests of pytest by
    gankit.testing.parametrize_parts.
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    given = _by_part(options)
    request = Request(target_of(target, context.files, context.disable), given, timeout)
    made = []
    for (kind, part), found in groupby(results(request), lambda r: (r.kind, r.part)):
        of_part = list(found)
        made += of_part
        if not as_json:
            _tell(f"{kind} {part}", of_part)
    if not made:
        raise UsageError(f"nothing of {target!r} can be checked")
    failed = sum(result.outcome == "failed" for result in made)
    parts = len({(result.kind, result.part) for result in made})
    if as_json:
        told = {
            "target": target,
            "checks": len(made),
            "parts": parts,
            "failed": failed,
            "results": [asdict(result) for result in made],
        }
        click.echo(json.dumps(told, indent=1))
    else:
        how = f"{failed} failed" if failed else "all passed"
        click.echo(f"{_count(len(made), 'check')} over {_count(parts, 'part')}: {how}")
    return 1 if failed else 0


def _by_part(options: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read ``part.option=value``; a part's name may have dots of its own."""
    given: dict[str, dict[str, Any]] = {}
    for path, value in parse_overrides(options):
        if len(path) < 2:
            raise UsageError(
                f"{path[0]!r} says not which part it is of; write PART.OPTION=VALUE"
            )
        given.setdefault(".".join(path[:-1]), {})[path[-1]] = value
    return given


def _tell(name: str, found: Sequence[Result]) -> None:
    """Say how a part has done: what fails in full, what passes as a number."""
    passed = sum(result.outcome == "passed" for result in found)
    waiting = [result.check for result in found if result.outcome == "waits"]
    click.echo(f"{name}: {passed} of {_count(len(found), 'check')} passed")
    for result in found:
        if result.outcome == "failed":
            message = "\n    ".join(result.message.splitlines())
            click.echo(f"  {result.check}: {message}")
    if waiting:
        click.echo(f"  not made yet: {', '.join(waiting)}")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' if number != 1 else ''}"
