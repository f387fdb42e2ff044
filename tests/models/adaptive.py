"""Adaptive augmentation (Karras et al. 2020) as one piece: part, hook and state."""

import math

import torch

from gankit import Count, Fraction, Part, hookimpl


class Adaptive:
    """Mirror pictures as often as the discriminator's overfitting asks for.

    After each of its updates the probability moves towards 1 where the mean sign of the
    real logits is above the target, and towards 0 where it is below.
    """

    def __init__(self, *, target: Fraction = 0.6, samples: Count = 100):
        self.target, self.samples, self.share = target, samples, 0.0

    def __call__(self, samples, rng):
        drawn = torch.rand(len(samples), 1, 1, 1, generator=rng, device=rng.device)
        return torch.where(drawn < self.share, samples.flip(3), samples)

    @hookimpl
    def gankit_after_update(self, run, update):
        if "discriminator" in update.players:
            over = float(update.measurements["real sign"]) - self.target
            moved = math.copysign(run.assembly.train.batch_size / self.samples, over)
            self.share = min(max(self.share + moved, 0.0), 1.0)

    def state_dict(self):
        return {"share": self.share}

    def load_state_dict(self, state):
        self.share = state["share"]


@hookimpl
def gankit_parts():
    yield Part("augmentation", "adaptive", Adaptive)
