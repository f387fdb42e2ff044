"""The Parzen-window log-likelihood of the first GAN papers. Goodfellow et al. 2014."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen
from torch import Tensor

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.measures.parzen import parzen
from gankit_metrics.some import Some

_CHOSEN_ON = 1000  # validation items, as the authors' code


@frozen
class Parzen:
    """The test set's log-likelihood, in nats, under Gaussians around the samples.

    As Goodfellow et al. 2014, section 5, and Mirza & Osindero 2014, section 4.1,
    measured theirs: of 10,000 samples, σ chosen on held-out data, all test images. The
    standard error is over the test images. "This method of estimating the likelihood
    has somewhat high variance and does not perform well in high dimensional spaces", as
    its authors say: read it beside others.

    Compared with ``validation``, as a probe does, it is the likelihood of what is left
    there when σ is chosen: by it the checkpoint is kept that is then tested.
    """

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Measure the likelihood; sigma is among the details."""
        if evaluation.facts.sample_range is not None:
            raise ValueError(
                "its widths are made for pixels in [0, 1], and this data has other "
                "numbers; choose another metric"
            )
        split = "validation" if evaluation.split == "validation" else "test"
        chosen_on = _flat(evaluation.real("validation", _CHOSEN_ON))
        measured = _flat(evaluation.real(split, len(evaluation.data(split))))
        if split == "validation":
            measured = measured[_CHOSEN_ON:]
        if not len(measured):
            raise ValueError(
                f"its width is chosen by {_CHOSEN_ON:,} items of validation, and it "
                "has no more to measure; hold more of the data out, or compare with "
                "test"
            )
        found = parzen(_flat(evaluation.generated), chosen_on, measured)
        yield Score(
            "parzen",
            found.log_likelihood,
            "higher",
            error=found.standard_error,
            details={"sigma": found.bandwidth},
            split=split,
        )


def _flat(some: Some) -> Tensor:
    return some.floats().flatten(1)
