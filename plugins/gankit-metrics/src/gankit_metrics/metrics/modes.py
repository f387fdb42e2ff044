"""How many modes of the data samples hit, and how evenly."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.features.classifier import Classifier
from gankit_metrics.measures.modes import gaussian_modes, modes, stacked_counts
from gankit_metrics.reference import identity


@frozen
class Modes:
    """Modes hit, and KL(generated ‖ real) over them in nats.

    Of a data set that names its modes' ``centres``, (K, n), and their ``std``, by
    distance: a sample within three deviations is of high quality, and a mode is hit by
    one such (Lin et al. 2018, section 4.1). Of one with a split ``single``, whose
    labels are those of each channel, by a classifier of single channels: stacked MNIST
    (Srivastava et al. 2017). Of any other with labels, by a classifier of these.
    """

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Count modes."""
        made = evaluation.generated
        centres = getattr(evaluation.dataset, "centres", None)
        by, details = "", dict[str, float | str]()
        if isinstance(centres, Tensor):
            deviation = getattr(evaluation.dataset, "std")  # noqa: B009 # optional
            found = gaussian_modes(made.samples, centres, deviation)
            count = len(centres)
            yield Score("high-quality", found.high_quality, "higher")
            hit, kl = found.hit, found.kl
        else:
            counts, real, classifier = self._classified(evaluation)
            spread = modes(counts, real)
            hit, kl, count = spread.hit, spread.kl, len(counts)
            by, details = identity(classifier), dict(classifier.notes)
        details["modes"] = count
        yield Score("modes", hit, "higher", features=by, details=details)
        yield Score("modes-kl", kl, "lower", features=by, details=details)

    def _classified(
        self, evaluation: Evaluation
    ) -> tuple[Tensor, Tensor | None, Classifier]:
        """Count samples of each class: (K,), those of the data, and by what."""
        made = evaluation.generated
        if "single" in getattr(evaluation.dataset, "splits", {}):
            classifier = evaluation.reference.classifier(Classifier, "single")
            channels = made.samples.unbind(1)
            digits = [
                evaluation.in_chunks(
                    made.channel(number),
                    lambda some: classifier.probabilities(some).argmax(1),
                    "classifying each channel",
                )
                for number in range(len(channels))
            ]
            return stacked_counts(torch.stack(digits, 1)), None, classifier
        classifier = evaluation.classifier(None)
        vectors = evaluation.embedded(made, classifier)
        classes = len(evaluation.class_names)
        counts = classifier.classify(vectors).argmax(1).bincount(minlength=classes)
        return (
            counts,
            evaluation.real().labels().bincount(minlength=classes),
            classifier,
        )
