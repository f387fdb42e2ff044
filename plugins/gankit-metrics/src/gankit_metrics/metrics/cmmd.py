"""CMMD: the MMD of embeddings with a Gaussian kernel. Jayasumana et al. 2024."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.kernel import cmmd
from gankit_metrics.metrics.comparing import By, compared, floor


@frozen
class CMMD:
    """1000 times the squared MMD of embeddings of unit length (Jayasumana et al. 2024).

    The paper's embeddings are CLIP's. Biased, as the paper's code: compare values of
    equally many samples.

    Args:
        features: what samples are compared by
    """

    features: By | None = None

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure the distance, and that of the training data."""
        both = compared(evaluation, self.features)
        yield Score(
            "cmmd",
            cmmd(both.real, both.fake),
            "lower",
            features=both.by,
            details=floor(evaluation, both.features, cmmd),
        )
