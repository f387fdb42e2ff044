"""The classifier two-sample test. Lopez-Paz & Oquab 2017."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from attrs import frozen

from gankit import Classes, Facts
from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.made import Made
from gankit_metrics.measures.two_sample import auc, two_sample_accuracy
from gankit_metrics.some import Some


@frozen
class TwoSample:
    """How often a fresh classifier tells samples from real ones, held out from it.

    A half is chance, and ideal (Lopez-Paz & Oquab 2017). It learns from one half of
    either kind, and is measured on the other. A network finds what no eye sees: short
    of 1 is good.
    """

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Train a classifier on one half, and measure it on the other."""
        facts = Facts(
            evaluation.facts.sample_shape,
            evaluation.facts.sample_range,
            label=Classes(("generated", "real")),
        )
        sides = evaluation.generated, evaluation.real()
        half = min(map(len, sides)) // 2
        learnt, held = (
            _mixed([side.samples[rows] for side in sides])
            for rows in (slice(half), slice(half, 2 * half))
        )
        judge = evaluation.reference.taught(Made(learnt, facts), evaluation.seed)
        scores = evaluation.in_chunks(held, judge.probabilities, "judging")[:, 1]
        real = held.labels() == 1
        found = two_sample_accuracy(scores[real], scores[~real], threshold=0.5)
        yield Score(
            "two-sample",
            found.accuracy,
            "lower",
            error=found.standard_error,
            details={
                "AUC": auc(scores[real], scores[~real]).value,
                "chance": found.chance,
                "deviation by chance": found.chance_error,
            },
        )


def _mixed(sides: list[torch.Tensor]) -> Some:
    """Label generated samples 0 and real ones 1."""
    labels = [torch.full((len(side),), i) for i, side in enumerate(sides)]
    return Some(torch.cat(sides), {"label": torch.cat(labels)}, "mixed")
