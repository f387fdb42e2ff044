"""Adaptive augmentation as one piece: changes of pictures, and how often.

Karras et al. 2020, "Training generative adversarial networks with limited data".
"""

import math

import torch

from gankit import Count, Fraction, Part, hookimpl


class Adaptive:
    """Mirror and turn pictures as often as the discriminator's overfitting asks for.

    These are the first two changes of the paper's appendix B. Each is made of a share
    of the pictures, which moves as section 3.1 has it: every few updates it goes up
    where the mean sign of the real logits (r_t of equation 1) is above the target, and
    down where it is below.

    Args:
        target: the mean sign that is aimed at.
        images: real ones in which the share could rise from 0 to 1.
        every: updates of the discriminator from one move to the next.
    """

    capturable = False  # the share is a number of Python's

    def __init__(
        self, *, target: Fraction = 0.6, images: Count = 500_000, every: Count = 4
    ):
        self.target, self.images, self.every = target, images, every
        self.share, self.signs, self.looks = 0.0, 0.0, 0

    def __call__(self, samples, rng):
        if samples.ndim != 4 or samples.shape[2] != samples.shape[3]:
            raise ValueError("it turns square pictures; leave the augmentation out")

        def drawn():
            return torch.rand(len(samples), 1, 1, 1, generator=rng, device=rng.device)

        # what is changed may come out as it was: one way of two, or of four
        mirrored = (drawn() < self.share) & (drawn() < 0.5)
        samples = torch.where(mirrored, samples.flip(3), samples)
        turns = (drawn() < self.share) * (4 * drawn()).long()
        for quarters in (1, 2, 3):
            turned = samples.rot90(quarters, (2, 3))
            samples = torch.where(turns == quarters, turned, samples)
        return samples

    @hookimpl
    def gankit_after_update(self, run, update):
        if "discriminator" not in update.players:
            return
        self.signs += float(update.measurements["real sign"])
        self.looks += 1
        if self.looks == self.every:
            over = self.signs / self.looks - self.target
            seen = self.looks * run.assembly.train.batch_size
            moved = self.share + math.copysign(seen / self.images, over)
            self.share = min(max(moved, 0.0), 1.0)
            self.signs, self.looks = 0.0, 0

    @hookimpl
    def gankit_after_step(self, run):
        if run.due(run.assembly.train.log_every):
            run.measure("augmented", self.share)

    def state_dict(self):
        return {"share": self.share, "signs": self.signs, "looks": self.looks}

    def load_state_dict(self, state):
        self.share, self.signs = state["share"], state["signs"]
        self.looks = state["looks"]


@hookimpl
def gankit_parts():
    yield Part("augmentation", "adaptive", Adaptive)
