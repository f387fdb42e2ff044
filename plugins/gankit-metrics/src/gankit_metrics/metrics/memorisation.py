"""Whether samples are copies of training items. Meehan et al. 2020."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.copying import data_copying
from gankit_metrics.metrics.comparing import By, compared


@frozen
class Memorisation:
    """How much nearer to the training data samples lie than new data does.

    0.5 is ideal: a sample is as often nearer to its nearest training item than a test
    item to its own, as it is farther. Near 1 samples are copies, near 0 they are far
    from everything (after Meehan et al. 2020, whose z is among the details).

    Args:
        features: what samples are compared by
    """

    features: By | None = None

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure how often a sample is the nearer one."""
        evaluation.new_data()
        both = compared(evaluation, self.features)
        whole = evaluation.real("train", len(evaluation.data("train")))
        train = evaluation.embedded(whole, both.features)
        found = data_copying(train, both.real, both.fake)
        yield Score(
            "memorisation",
            found.nearer,
            features=both.by,
            details={"z": found.z, "ratio of median distances": found.median_ratio},
        )
