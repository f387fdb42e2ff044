"""A change of stage in mid-run: a second layer fades in, at another learning rate."""

import torch
from torch import nn

from gankit import Count, Part, hookimpl


class Growing(nn.Module):
    """A generator of points whose second layer counts for a share, a buffer."""

    output_range = (float("-inf"), float("inf"))

    def __init__(self, shapes, *, width: Count = 8):
        super().__init__()
        self.first = nn.Linear(shapes.noise, width)
        self.second = nn.Linear(width, width)
        self.last = nn.Linear(width, *shapes.sample)
        self.register_buffer("share", torch.zeros(()))

    def forward(self, noise, condition):
        hidden = self.first(noise).relu()
        return self.last(torch.lerp(hidden, self.second(hidden).relu(), self.share))


@hookimpl
def gankit_parts():
    yield Part("generator", "growing", Growing)


@hookimpl
def gankit_after_step(run):
    if run.step == 2:
        run.game.generator.hold(lr=1e-4)
    if run.step >= 2:
        run.game.generator.network.share.fill_(min(1.0, 0.25 * run.step))
