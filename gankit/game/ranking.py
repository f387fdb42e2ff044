"""How well logits tell real from generated samples, as measured."""

from __future__ import annotations

import math

import torch
from torch import Tensor

RANKED = AUC, CLEARANCE, REAL_SIGN = "AUC", "clearance", "real sign"


def ranking(real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
    """Measure how well logits, (B, …) each, tell real from fake.

    - The share of pairs of a real and a generated sample whose real one has the higher
      logit, equal ones counted half: the area under the ROC curve (Hanley & McNeil
      1982), 0.5 by chance and 1 without an error.
    - How much of the way from the mean fake logit to the mean real one lies between the
      highest fake and the lowest real: above 0 where there is no error, towards 1 where
      there is ever more room for none.

    - The mean sign of the real logits (Karras et al. 2020, eq. 1, r_t), which tells of
      overfitting.

    The first two mean the same for every loss, where the sigmoid of a logit is a
    probability for some alone. Of several logits a sample, their mean is ranked.
    """
    real, fake = (
        logits.reshape(len(logits), -1).mean(1) for logits in (real_logits, fake_logits)
    )
    ranked = (real[:, None] - fake).sign()  # (B, B)
    broken = (real.sum() + fake.sum()).isnan()  # NaN has no sign, but is no tie either
    return {
        AUC: torch.where(broken, math.nan, (ranked.mean() + 1) / 2),
        CLEARANCE: (real.min() - fake.max()) / (real.mean() - fake.mean()).abs(),
        REAL_SIGN: torch.where(
            real_logits.sum().isnan(), math.nan, real_logits.sign().mean()
        ),
    }
