"""``gankit compare``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gankit import Context, plugin_options
from gankit.errors import UsageError

if TYPE_CHECKING:
    from gankit_report.comparing import Compared, Comparison


@click.command()
@click.argument(
    "runs", nargs=-1, required=True, metavar="RUN... | RECIPE [KEY=VALUE]..."
)
@click.option("-o", "output", metavar="FILE", help="Write .html or .png.")
@click.option("--force", is_flag=True, help="Write over a file that exists.")
@click.option(
    "--grid",
    multiple=True,
    metavar="KEY=A,B",
    help="Train RECIPE with each of these values; repeatable: with all combinations.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Runs of each cell of a grid.",
)
@click.option("--out", metavar="DIR", help="Folder of a grid's runs.")
@click.option(
    "--metric",
    multiple=True,
    help="What `gankit evaluate` is to measure of a grid's runs; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON for scripts.")
@plugin_options
@click.pass_obj
def compare(
    context: Context,
    runs: tuple[str, ...],
    output: str | None,
    force: bool,
    grid: tuple[str, ...],
    seeds: int,
    out: str | None,
    metric: tuple[str, ...],
    as_json: bool,
) -> None:
    """Put runs beside each other: what differs in their recipes, what they scored.

    With --grid, train RECIPE in every combination of values first. The same command
    goes on with a grid that was stopped, and trains nothing twice.

    \b
    gankit compare runs/cgan-1 runs/cgan-2 -o compared.html
    gankit compare cgan dataset.root=data --grid loss.use=hinge,non-saturating \\
        --seeds 3 --out grids/losses --metric kid
    """  # noqa: D301 # the backslashes are click's, and keep the lines apart
    from gankit_report.comparing import compare as put_together
    from gankit_report.files import check_free

    if output is not None:
        if not output.endswith((".html", ".png")):
            raise UsageError(f"{output!r} is neither .html nor .png; name one of these")
        check_free(Path(output), force=force)
    if grid:
        found = _grid(context, runs, grid, seeds, out, metric)
    else:
        found = _runs(runs, grid_asked={"--out": out, "--metric": metric})
    comparison = put_together(found)
    if output is not None:
        _write(Path(output), comparison, Path(out).name if out else "Compared")
    _say(comparison, output, as_json=as_json)


def _runs(runs: Sequence[str], grid_asked: dict[str, object]) -> list[Compared]:
    """Read run folders, of which at least one has scores."""
    from gankit_report.comparing import compared
    from gankit_report.record import read_record

    for flag, value in grid_asked.items():
        if value:
            raise UsageError(f"{flag} is for a grid of recipes; name one with --grid")
    twice = [run for i, run in enumerate(runs) if Path(run) in map(Path, runs[:i])]
    if twice:
        raise UsageError(f"{twice[0]!r} is there twice; name each run once")
    found = [compared(read_record(run)) for run in runs]
    if not any(run.scores for run in found):
        lines = [f"{run.folder}: {run.problem}" for run in found]
        raise UsageError("\n  - ".join(["none of these runs can be compared:", *lines]))
    return found


def _grid(
    context: Context,
    words: Sequence[str],
    grid: Sequence[str],
    seeds: int,
    out: str | None,
    metrics: Sequence[str],
) -> list[Compared]:
    """Train and score a grid of recipes."""
    from gankit_report.grids import Plan, parse_grid, run_grid

    recipe, *overrides = words
    if "=" in recipe:
        raise UsageError(f"name a recipe before {recipe!r}, as quickstart")
    if out is None:
        raise UsageError("name a folder for the grid's runs with --out DIR")
    plan = Plan(
        recipe=recipe,
        overrides=tuple(overrides),
        grid=parse_grid(grid),
        seeds=seeds,
        out=Path(out),
        metrics=tuple(metrics),
        plugins=tuple(context.files),
        disable=tuple(context.disable),
    )
    commands = [command.name for command in context.discover().commands]
    can_evaluate = "evaluate" in commands
    if metrics and not can_evaluate:
        click.echo(
            "note: there is no command `gankit evaluate` here; the grid is trained, "
            "and not scored",
            err=True,
        )
    return run_grid(
        plan, can_evaluate=can_evaluate, tell=lambda line: click.echo(line, err=True)
    )


def _write(path: Path, comparison: Comparison, title: str) -> None:
    from gankit_report.files import write_bytes
    from gankit_report.tables import page, picture

    made = (
        picture(comparison)
        if path.suffix == ".png"
        else page(comparison, title).encode()
    )
    write_bytes(path, made)


def _say(comparison: Comparison, output: str | None, *, as_json: bool) -> None:
    from gankit_report import tables

    if as_json:
        told = tables.as_json(comparison)
        click.echo(json.dumps(told | ({"file": output} if output else {}), indent=1))
        return
    for line in tables.text(comparison):
        click.echo(line)
    if output:
        click.echo(f"written to {output}")
