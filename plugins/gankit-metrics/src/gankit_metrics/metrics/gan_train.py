"""GAN-train: whether a classifier can learn from samples."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.made import Made
from gankit_metrics.measures.conditional import class_accuracy
from gankit_metrics.reference import identity


@frozen
class GanTrain:
    """How often a classifier that has learnt from samples alone is right on test items.

    Shmelkov et al. 2018. It has as many samples as there are training items, of the
    classes of these; what the same classifier gets that has learnt from them is among
    the details.
    """

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Train a classifier on samples, and measure it on real ones."""
        evaluation.asked_for("label", "captions")
        evaluation.new_data()
        names = evaluation.class_names
        data = evaluation.data("train")
        made = evaluation.generate(len(data), "train")
        samples = Made(made, evaluation.facts)
        taught = evaluation.reference.taught(samples, evaluation.seed)
        test = evaluation.real()
        found = class_accuracy(
            evaluation.in_chunks(test, taught.probabilities, "classifying").argmax(1),
            test.labels(),
            len(names),
        )
        best = evaluation.classifier(None)
        real = class_accuracy(
            best.classify(evaluation.embedded(test, best)).argmax(1),
            test.labels(),
            len(names),
        )
        yield Score(
            "gan-train",
            found.overall.value,
            "higher",
            error=found.overall.standard_error,
            details={
                "by training data": real.overall.value,
                "classifier": identity(best).partition("@")[0],
            },
            samples=len(data),
        )
