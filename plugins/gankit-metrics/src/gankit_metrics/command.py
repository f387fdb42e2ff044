"""``gankit evaluate``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gankit.cli import Context, plugin_options
from gankit.errors import RunError, UsageError

if TYPE_CHECKING:
    from gankit import Judge, Recipe
    from gankit_metrics.scores import Record

_SAMPLES = 10_000


@click.command()
@click.argument("run")
@click.argument("words", nargs=-1, metavar="[METRIC | METRIC.KEY=VALUE]...")
@click.option(
    "-n",
    "--samples",
    "count",
    type=click.IntRange(2),
    default=_SAMPLES,
    help="Samples of each side, at most.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    metavar="K",
    help="Draw samples so many times, each with another seed.",
)
@click.option(
    "--split",
    default="",
    metavar="NAME",
    help="Real samples to compare with: test, validation or train.  "
    "[default: the first that there is]",
)
@click.option(
    "--checkpoint", default="latest", help="latest, best, or the step of one."
)
@click.option("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps.")
@click.option(
    "--processes",
    "size",
    type=click.IntRange(1),
    default=1,
    metavar="N",
    help="Share the work among N processes of this machine.",
)
@click.option("--json", "as_json", is_flag=True, help="Give the scores as JSON.")
@plugin_options
@click.pass_obj
def evaluate(
    context: Context,
    run: str,
    words: tuple[str, ...],
    count: int,
    seeds: int,
    split: str,
    checkpoint: str,
    device: str,
    size: int,
    as_json: bool,
) -> int | None:
    """Measure the samples of the run in folder RUN by metrics, and keep the scores.

    Without a METRIC it is those of the recipe's [[metrics]]; without these, kid and
    precision-recall. Scores are added to RUN/scores.json.

    \b
    gankit evaluate runs/dcgan-1
    gankit evaluate runs/dcgan-1 kid kid.features.use=classifier --seeds 3
    gankit evaluate runs/mlp-gan-1 parzen --processes 4
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    if (code := context.launch(size)) is not None:
        return code
    import gankit
    from gankit_metrics import scores
    from gankit_metrics.measuring import measure

    records: list[Record] = []
    with gankit.joined() as processes:
        folder = _folder(run)
        recipe = _recipe(folder, words, context)
        how: dict[str, Any] = {"plugins": context.files, "disable": context.disable}
        sampler = gankit.load(
            folder, checkpoint=checkpoint, device=device, processes=processes, **how
        )

        def judge() -> Judge:
            # not together: of a metric's processes one alone may ask for it
            place, step = str(sampler.device), sampler.step or 0
            return gankit.load_judge(folder, checkpoint=step, device=place, **how)

        fewer = idle(count, processes.size, processes.local_size, sampler.device.type)
        for note in (*sampler.notes, *fewer) if processes.leads else ():
            click.echo(f"note: {note}", err=True)
        for found in measure(
            recipe,
            sampler,
            judge,
            checkpoint=checkpoint,
            count=count,
            seeds=seeds,
            split=split,
            processes=processes,
        ):
            if processes.leads:  # what was measured is kept, whatever comes next
                scores.write(folder, found)
            records += found
        if processes.leads:
            told = [scores.plain(record) for record in records]
            whole = json.dumps({"run": str(folder), "scores": told})
            for line in [whole] if as_json else _table(records):
                click.echo(line)
    return None


def idle(count: int, size: int, local_size: int, device: str) -> Iterator[str]:
    """Say where fewer processes would do as well.

    Args:
        count: samples.
        size: processes.
        local_size: those of this machine.
        device: the kind of theirs.
    """
    from gankit_metrics.evaluation import DRAW

    pieces = -(-count // DRAW)
    if size > pieces:
        yield (
            f"{count:,} samples are drawn {DRAW} at a time: of {size} processes "
            f"{size - pieces} draw none"
        )
    cores = os.cpu_count() or 1
    if device == "cpu" and local_size > cores:
        yield (
            f"{local_size} processes share {cores} cores, and each holds the data and "
            f"the networks in memory: {cores} would be as fast"
        )


def _folder(run: str) -> Path:
    folder = Path(run)
    if not (folder / "recipe.toml").is_file():
        raise RunError(
            f"{run!r} holds no run: there is no recipe.toml in it; name the folder "
            "that `gankit train` made"
        )
    return folder


def _recipe(folder: Path, words: Sequence[str], context: Context) -> Recipe:
    """Read a run's recipe, with the metrics that are asked for."""
    import gankit

    names = [word for word in words if "=" not in word]
    options = [word for word in words if "=" in word]
    for option in options:
        name = option.partition(".")[0]
        if name not in names:
            raise UsageError(
                f"{option}: sets an option of the metric {name!r}, which is not asked "
                f"for; write {name} before it"
            )
    if len({*names}) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"the metric {twice!r} is asked for twice; name it once")
    installed = context.discover()
    for name in names:  # here, and not as a mistake in the recipe of the run
        installed.find("metric", name)
    files, disable = context.files, context.disable
    path = folder / "recipe.toml"
    plain = gankit.read_recipe(path, plugins=files, disable=disable)
    if not names and plain.others.get("metrics"):
        return plain
    names = names or ["kid", "precision-recall"]
    tables = ", ".join(f"{{use = {json.dumps(name)}}}" for name in names)
    changes = [f"metrics=[{tables}]"]
    for option in options:
        name, _, rest = option.partition(".")
        changes.append(f"metrics.{names.index(name)}.{rest}")
    return gankit.read_recipe(path, changes, plugins=files, disable=disable)


def _table(records: Sequence[Record]) -> Iterator[str]:
    """Write scores as lines of text."""
    width = max(len(record.title) for record in records)
    for record in records:
        spread = record.error if record.spread is None else record.spread
        about = "" if spread is None else f" ± {spread:.2g}"
        better = f"{record.better} is better" if record.better else ""
        value = f"{record.value:.5g}{about}"
        yield f"{record.title:<{width}}  {value:<20} {better}".rstrip()
        for name, detail in record.details.items():
            shown = detail if isinstance(detail, str) else f"{detail:.5g}"
            yield f"  {name}: {shown}"
    first = records[0]
    yield (
        f"step {first.step:,}; {first.samples:,} samples beside {first.split}; "
        f"{len(first.values)} {'seed' if len(first.values) == 1 else 'seeds'}"
    )
