"""R-precision: whether a picture fits its own caption best. Xu et al. 2018."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from attrs import frozen
from torch import Tensor

from gankit import Count
from gankit_metrics.contracts import Score
from gankit_metrics.evaluation import Evaluation
from gankit_metrics.features import Features
from gankit_metrics.joint import JointSpace
from gankit_metrics.measures.retrieval import RPrecision as Found
from gankit_metrics.measures.retrieval import draw_candidates, r_precision
from gankit_metrics.metrics.comparing import By
from gankit_metrics.reference import identity
from gankit_metrics.some import Some


@frozen
class RPrecision:
    """How often a picture's own caption fits it better than 99 others (Xu et al. 2018).

    Captions are held out. What fits is judged in a space that was taught with the
    training pictures, by a text encoder of its own: one that the generator was
    conditioned by would judge itself. ``of real pictures`` is what it gets of the
    held-out pictures themselves, and ``of others' captions`` the control: pictures that
    were generated for other captions.

    Args:
        features: what pictures are seen by
        candidates: captions for each picture, its own among them
        steps: in which the space is taught
    """

    features: By | None = None
    candidates: Count = 100
    steps: Count = 1500

    def __call__(self, evaluation: Evaluation) -> Iterator[Score]:
        """Teach the space, and rank captions."""
        evaluation.asked_for("captions")
        evaluation.new_data()
        features = evaluation.extractor(self.features)
        space = self._taught(evaluation, features)
        real = evaluation.real()
        made = evaluation.generate(len(real), each_once=True)
        rows = _distinct(made.texts())
        if len(rows) < self.candidates:
            raise ValueError(
                f"there are {len(rows)} captions that differ, and each picture is to "
                f"have {self.candidates} candidates; set r-precision.candidates lower"
            )
        drawn = draw_candidates(
            len(rows), torch.Generator().manual_seed(0), self.candidates
        )

        def ranked(some: Some, shift: int = 0) -> Found:
            with torch.inference_mode():
                seen = space.pictures(evaluation.embedded(some, features)[rows])
                texts = [made.texts()[row] for row in rows.tolist()]
                told = space.texts(texts[shift:] + texts[:shift])
            return r_precision(seen, told, drawn)

        found, best, control = ranked(made), ranked(real), ranked(made, shift=1)
        yield Score(
            "r-precision",
            found.value,
            "higher",
            error=found.standard_error,
            features=identity(features),
            details={
                "of real pictures": best.value,
                "of others' captions": control.value,
                "chance": found.chance,
            },
        )

    def _taught(self, evaluation: Evaluation, features: Features) -> JointSpace:
        """Teach the space with all training pictures and all of their captions."""
        whole = evaluation.real("train", len(evaluation.data("train")))
        vectors = evaluation.embedded(whole, features)
        captions = whole.annotations["captions"]
        told = [row for row, texts in enumerate(captions) if texts]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            space = JointSpace(vectors[told], [captions[row] for row in told])
            space.fit(
                vectors[told],
                [captions[row] for row in told],
                steps=self.steps,
                seed=0,
                progress=evaluation.progress,
            )
        return space


def _distinct(texts: list[str]) -> Tensor:
    """Return the rows whose text no earlier row has, and is not empty."""
    first = {
        text.casefold(): row for row, text in reversed([*enumerate(texts)]) if text
    }
    return torch.tensor(sorted(first.values()), dtype=torch.long)
