"""The Parzen-window log-likelihood of the first GAN papers. Goodfellow et al. 2014."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen
from torch import Tensor

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.parzen import parzen
from gankit_metrics.some import Some


@frozen
class Parzen:
    """The test set's log-likelihood, in nats, under Gaussians around the samples.

    As Goodfellow et al. 2014, section 5, and Mirza & Osindero 2014, section 4.1,
    measured theirs: of 10,000 samples, σ chosen on held-out data, all test images. The
    standard error is over the test images. "This method of estimating the likelihood
    has somewhat high variance and does not perform well in high dimensional spaces", as
    its authors say: read it beside others.
    """

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure the likelihood; sigma is among the details."""
        if evaluation.facts.sample_range is not None:
            raise ValueError(
                "its widths are made for pixels in [0, 1], and this data has other "
                "numbers; choose another metric"
            )
        everything = len(evaluation.data("test"))
        sides = (
            evaluation.generated,
            evaluation.real("validation", 1000),
            evaluation.real("test", everything),
        )
        found = parzen(*map(_flat, sides))
        yield Score(
            "parzen",
            found.log_likelihood,
            "higher",
            error=found.standard_error,
            details={"sigma": found.bandwidth},
            split="test",
        )


def _flat(some: Some) -> Tensor:
    return some.floats().flatten(1)
