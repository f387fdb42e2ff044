"""``gankit train`` and ``gankit resume``."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gankit.cli import Context, plugin_options
from gankit.compute.environment import leads

if TYPE_CHECKING:
    from gankit.data.items import Progress
    from gankit.runs.run import Run

_OVERRIDES = click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
_JSON = click.option(
    "--json", "as_json", is_flag=True, help="Lines of JSON for scripts."
)
_PROCESSES = click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Share the run among N processes of this machine.",
)


@click.command()
@click.argument("recipe", required=False)
@_OVERRIDES
@click.option("--out", metavar="DIR", help="Run folder.  [default: runs/RECIPE-N]")
@click.option(
    "--from",
    "start_from",
    metavar="RUN|FILE",
    help="Begin with the weights of a run, checkpoint or .safetensors file that fit.",
)
@_PROCESSES
@_JSON
@plugin_options
@click.pass_obj
def train(
    context: Context,
    recipe: str | None,
    overrides: tuple[str, ...],
    out: str | None,
    start_from: str | None,
    processes: int,
    as_json: bool,
) -> int:
    """Train RECIPE, a name or a TOML file, with options overridden by KEY=VALUE.

    \b
    gankit train
    gankit train dcgan dataset.root=data loss.use=hinge train.steps=2000
    gankit train my.toml --plugin my_parts.py --out runs/mine
    gankit train dcgan dataset.root=other --from runs/dcgan-1
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    _import_torch()
    from gankit import api

    if recipe is not None and "=" in recipe:  # no recipe, only overrides
        overrides, recipe = (recipe, *overrides), None
    if start_from is not None:
        overrides = (*overrides, f"train.start_from={json.dumps(start_from)}")
    if (code := context.launch(processes)) is not None:
        return code
    with _shown(as_json=as_json) as (watchers, progress):
        run = api.train(
            recipe or "quickstart",
            overrides,
            out=out,
            plugins=context.files,
            disable=context.disable,
            watchers=watchers,
            progress=progress,
        )
    return _ended(run, as_json=as_json)


@click.command()
@click.argument("run")
@_OVERRIDES
@_PROCESSES
@_JSON
@plugin_options
@click.pass_obj
def resume(
    context: Context,
    run: str,
    overrides: tuple[str, ...],
    processes: int,
    as_json: bool,
) -> int:
    """Go on with the run in folder RUN from its latest checkpoint.

    \b
    gankit resume runs/quickstart-1
    gankit resume runs/quickstart-1 train.steps=6000
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    _import_torch()
    from gankit import api

    if (code := context.launch(processes)) is not None:
        return code
    with _shown(as_json=as_json) as (watchers, progress):
        resumed = api.resume(
            run,
            overrides,
            plugins=context.files,
            disable=context.disable,
            watchers=watchers,
            progress=progress,
        )
    return _ended(resumed, as_json=as_json)


def _import_torch() -> None:
    """Import torch; collect no garbage among the million objects that come then.

    It would take a tenth of the time to the first step, and find none. They are not
    looked at later either. Where torch is there, this process is somebody else's too,
    and its garbage is left alone.
    """
    if "torch" in sys.modules:
        return
    gc.disable()
    try:
        import torch._dynamo  # noqa: F401 # the first optimiser would, for a second
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def _shown(*, as_json: bool) -> Iterator[tuple[dict[str, object], Progress]]:
    """Show a run, in the process that speaks; give who watches, and who is told."""
    from gankit.cli.progress import JsonLines, watcher

    if not leads():
        yield {}, lambda done, total, text: None
        return
    shown = JsonLines() if as_json else watcher()
    with shown:
        yield {"gankit.progress": shown}, shown.progress


def _ended(run: Run, *, as_json: bool) -> int:
    """Say how a run has ended; return 1 for one that is to go on."""
    # what a hook has stopped, because it was enough, is not to go on
    code = 1 if run.step < run.total and run.stopping.startswith("SIG") else 0
    if run.folder is None:
        return code  # another process speaks
    folder = str(run.folder)
    stopped = run.stopping if run.step < run.total else ""
    if as_json:
        end = {"run": folder, "step": run.step, "stopped": stopped or None}
        click.echo(json.dumps(end))
    elif stopped:
        click.echo(
            f"stopped by {stopped} at step {run.step:,}, and saved; go on with "
            f"`gankit resume {folder}`"
        )
    else:
        click.echo(f"done: {run.step:,} steps; {_samples(run.folder)}")
    return code


def _samples(folder: Path) -> str:
    """Say where samples are, or how to draw some."""
    if any((folder / "samples").glob("*")):
        return f"pictures in {folder / 'samples'}; more with `gankit sample {folder}`"
    return f"draw samples with `gankit sample {folder}`"
