"""Whether samples show what their captions ask for, by the data set's own judge."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from attrs import frozen
from torch import Tensor

from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.some import Some

Judge = Callable[[Tensor, Sequence[str]], Mapping[str, Tensor]]
_WHOLE = "all"  # the aspect that sums up the others


@frozen
class Attributes:
    """The share of samples that show all that their caption asks for.

    Of a data set that can tell: its ``judge(samples, captions)`` gives by aspect, as
    ``"colour"``, a tensor (B,): 1 right, 0 wrong, NaN where the caption asks nothing;
    ``"all"`` is of all of them. Measured on the captions that samples are compared by,
    on those of the split ``unseen``, combinations that were never trained on, and as a
    control by the captions of others. Real pictures' share is the judge's own accuracy.
    """

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Let the data set judge."""
        evaluation.asked_for("captions")
        judge = getattr(evaluation.dataset, "judge", None)
        if judge is None:
            raise ValueError(
                "the data set has no judge of what captions ask for; choose r-precision"
            )
        made = evaluation.generate(evaluation.count, each_once=True)
        yield _score(
            "attributes",
            judged(judge, made),
            {"of real pictures": judged(judge, evaluation.real())[_WHOLE]},
        )
        yield _score("attributes-wrong-captions", judged(judge, made, shift=1), {})
        if "unseen" in getattr(evaluation.dataset, "splits", {}):
            unseen = evaluation.generate(evaluation.count, "unseen", each_once=True)
            yield _score("attributes-unseen", judged(judge, unseen), {})


def judged(judge: Judge, some: Some, shift: int = 0) -> dict[str, float]:
    """Return by aspect the share that is right, of those that are asked for it.

    What no caption asks for is left out.

    Args:
        judge: of the data set.
        some: samples with captions.
        shift: judge each by the caption of the one so many places on.
    """
    texts = some.texts()
    told = judge(some.samples, texts[shift:] + texts[:shift])
    return {
        aspect: right.nanmean().item()
        for aspect, right in told.items()
        if not right.isnan().all()
    }


def _score(
    name: str, shares: Mapping[str, float], more: Mapping[str, float | str]
) -> Score:
    aspects = {k: v for k, v in shares.items() if k != _WHOLE}
    better = "" if name.endswith("wrong-captions") else "higher"
    return Score(name, shares[_WHOLE], better, details={**aspects, **more})  # type: ignore[arg-type] # one of the three
