"""Measuring a run by the metrics of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

import gankit
from gankit import Judge, Processes, Recipe, Sampler
from gankit.errors import UsageError
from gankit_metrics import scores
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.reference import Reference
from gankit_metrics.waiting import shown


def measure(
    recipe: Recipe,
    sampler: Sampler,
    judge: Callable[[], Judge],
    *,
    checkpoint: str,
    count: int,
    seeds: int,
    split: str,
    processes: Processes,
) -> Iterator[list[scores.Record]]:
    """Measure a run by the metrics of a recipe, with samples of several seeds.

    Processes that share this find the same.

    Raises:
        UsageError: a metric cannot be measured of this run.
    """
    dataset = gankit.assemble_dataset(recipe)
    with shown(processes) as progress:
        reference = Reference(
            dataset, device=sampler.device, progress=progress, processes=processes
        )
        evaluations = [
            Evaluation(
                sampler,
                reference,
                count=count,
                seed=seed,
                split=split,
                baselines=True,
                judge=judge,
            )
            for seed in range(seeds)
        ]
        for use in recipe.others["metrics"]:
            name, metric = use.entry.part.name, use.build()
            found: dict[str, list[Any]] = {}
            for evaluation in evaluations:
                for score in scored(name, metric, evaluation):
                    found.setdefault(score.title, []).append(score)
            provenance = processes.once(lambda: _provenance(recipe, evaluations[0]))
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


def _provenance(recipe: Recipe, evaluation: Evaluation) -> dict[str, str]:
    """Say what must be the same for a score to come again."""
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
