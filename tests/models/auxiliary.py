"""AC-GAN (Odena et al. 2017): the discriminator also tells the class."""

import math

from torch import nn
from torch.nn import functional as F

from gankit import Count, Part, hookimpl


class Classifying(nn.Module):
    """Logits, and beside them the logits of each class."""

    def __init__(self, shapes, *, width: Count = 8, classes: Count = 4):
        super().__init__()
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shapes.sample), width), nn.LeakyReLU(0.2)
        )
        self.source, self.label = nn.Linear(width, 1), nn.Linear(width, classes)

    def forward(self, samples, condition):
        features = self.body(samples)
        return self.source(features)[:, 0], {"class": self.label(features)}


class Auxiliary:
    """Both players also want the class to be told (L_C of section 3)."""

    needs = ("label",)
    needs_condition = True

    def _classes(self, step, *judged):
        labels = step.annotation("label")
        return sum(F.cross_entropy(j.extras["class"], labels) for j in judged)

    def discriminator(self, step):
        source = (
            F.softplus(-step.real_logits).mean() + F.softplus(step.fake_logits).mean()
        )
        return source + self._classes(step, step.real_judged, step.fake_judged)

    def generator(self, step):
        source = F.softplus(-step.fake_logits).mean()
        return source + self._classes(step, step.fake_judged)


@hookimpl
def gankit_parts():
    yield Part("discriminator", "classifying", Classifying)
    yield Part("loss", "auxiliary", Auxiliary)
