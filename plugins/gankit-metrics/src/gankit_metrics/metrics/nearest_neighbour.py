"""The nearest-neighbour classifier on samples. Radford et al. 2015."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from gankit import Count
from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.conditional import nearest_neighbour_error


@frozen
class NearestNeighbour:
    """The test error of a 1-NN classifier that knows generated samples alone.

    The experiment of Radford et al. 2015 on MNIST: 50,000 samples of their classes,
    distances of pixels, the whole test set. What the training data gets is among the
    details.

    Args:
        samples: generated for the classes of training items, at random
    """

    samples: Count = 50_000

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure the error in [0, 1]."""
        evaluation.asked_for("label")
        test = evaluation.real("test", len(evaluation.data("test")))
        made = evaluation.generate(self.samples, "train")
        train = evaluation.real("train", self.samples)
        found, floor = (
            nearest_neighbour_error(
                some.floats().flatten(1),
                some.labels(),
                test.floats().flatten(1),
                test.labels(),
            )
            for some in (made, train)
        )
        yield Score(
            "nearest-neighbour-error",
            found.value,
            "lower",
            error=found.standard_error,
            details={"of training data": floor.value},
            samples=self.samples,
            split="test",
        )
