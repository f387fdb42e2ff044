"""``gankit evaluate``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gankit.cli import Context, plugin_options
from gankit.errors import RunError, UsageError

if TYPE_CHECKING:
    from gankit import Recipe, Sampler
    from gankit_metrics.evaluation import Evaluation
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
    as_json: bool,
) -> None:
    """Measure the samples of the run in folder RUN by metrics, and keep the scores.

    Without a METRIC it is those of the recipe's [[metrics]]; without these, kid and
    precision-recall. Scores are added to RUN/scores.json.

    \b
    gankit evaluate runs/dcgan-1
    gankit evaluate runs/dcgan-1 kid kid.features.use=classifier --seeds 3
    gankit evaluate runs/mlp-gan-1 parzen
    """  # noqa: D301 # the backslash is click's, and keeps the lines apart
    import gankit

    folder = _folder(run)
    recipe = _recipe(folder, words, context)
    sampler = gankit.load(
        folder,
        checkpoint=checkpoint,
        device=device,
        plugins=context.files,
        disable=context.disable,
    )
    for note in sampler.notes:
        click.echo(f"note: {note}", err=True)
    from gankit_metrics import scores

    records: list[Record] = []
    for found in measure(
        recipe, sampler, checkpoint=checkpoint, count=count, seeds=seeds, split=split
    ):
        scores.write(folder, found)  # what was measured is kept, whatever comes next
        records += found
    if as_json:
        told = [scores.plain(record) for record in records]
        click.echo(json.dumps({"run": str(folder), "scores": told}))
        return
    for line in _table(records):
        click.echo(line)


def measure(
    recipe: Recipe,
    sampler: Sampler,
    *,
    checkpoint: str,
    count: int,
    seeds: int,
    split: str,
) -> Iterator[list[Record]]:
    """Measure a run by the metrics of a recipe, with samples of several seeds.

    Raises:
        UsageError: a metric cannot be measured of this run.
    """
    import gankit
    from gankit_metrics import scores
    from gankit_metrics.evaluation import Evaluation
    from gankit_metrics.reference import Reference
    from gankit_metrics.waiting import shown

    dataset = gankit.assemble_dataset(recipe)
    with shown() as progress:
        reference = Reference(dataset, device=sampler.device, progress=progress)
        evaluations = [
            Evaluation(
                sampler,
                reference,
                count=count,
                seed=seed,
                split=split,
                baselines=True,
            )
            for seed in range(seeds)
        ]
        for use in recipe.others["metrics"]:
            name, metric = use.entry.part.name, use.build()
            found: dict[str, list[Any]] = {}
            for evaluation in evaluations:
                for score in scored(name, metric, evaluation):
                    found.setdefault(score.title, []).append(score)
            provenance = _provenance(recipe, evaluations[0])
            yield [
                scores.over_seeds(
                    name,
                    {k: v for k, v in use.as_table().items() if k != "use"},
                    each,
                    step=sampler.step or 0,
                    checkpoint=checkpoint,
                    samples=count,
                    split=evaluations[0].split,
                    provenance=provenance,
                )
                for each in found.values()
            ]


def scored(name: str, metric: Any, evaluation: Evaluation) -> Iterator[Any]:
    """Give a metric's scores; what it refuses is the user's to mend."""
    try:
        yield from metric(evaluation)
    except UsageError:
        raise
    except ValueError as error:
        raise UsageError(f"metric {name!r}: {error}") from error


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


def _provenance(recipe: Recipe, evaluation: Evaluation) -> dict[str, str]:
    """Say what must be the same for a score to come again."""
    import torch

    told = {
        "gankit": _version("gankit"),
        "gankit-metrics": _version("gankit-metrics"),
        "torch": torch.__version__,
        "dataset": str(recipe.origins["dataset"]),
        "data": evaluation.data(evaluation.split).fingerprint()[:16],
        "device": evaluation.sampler.device.type,
    }
    return told | {
        f"metrics.{place}": str(origin)
        for place, origin in recipe.origins.items()
        if place.startswith("metrics.") and not str(origin).startswith("gankit-metrics")
    }


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


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
