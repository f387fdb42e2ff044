"""Whether the discriminator knows the training data. Karras et al. 2020a."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen
from torch import Tensor

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.two_sample import auc
from gankit_metrics.some import Some


@frozen
class Overfitting:
    """How often the discriminator finds a training item more real than a new one.

    A half is ideal: it tells nothing of what it was trained on. At 1 it knows every
    training item, and what it teaches the generator has little to do with the data.
    Among the details is r_v of Karras et al. 2020a, section 3.1, equation 1: 0 without
    overfitting, 1 where new data is judged as generated samples are; it is left out
    where training items are not judged more real than those. The discriminator judges
    as it plays, but without the run's augmentations.
    """

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Ask the discriminator about training items, new ones and generated ones."""
        evaluation.new_data()
        train, new, made = (
            _judged(evaluation, some)
            for some in (
                evaluation.real("train"),
                evaluation.real(),
                evaluation.generated,
            )
        )
        known = auc(train, new)
        over_made = (train.mean() - made.mean()).item()
        over_new = (train.mean() - new.mean()).item()
        details = {"AUC of new over generated": auc(new, made).value}
        if over_made > 0:
            details["r_v"] = over_new / over_made
        yield Score(
            "overfitting",
            known.value,
            "lower",
            error=known.standard_error,
            details=details,
        )


def _judged(evaluation: Evaluation, some: Some) -> Tensor:
    reads = getattr(evaluation.sampler.conditioner, "reads", "")
    asked = list(some.annotations[reads]) if reads else []
    return evaluation.judge.judge(some.floats(), asked, seed=evaluation.seed).double()
