"""AC-GAN (Odena et al. 2017): the discriminator also tells the class."""

import math

from torch import nn
from torch.nn import functional as F

from gankit import Count, Part, hookimpl


class Classifying(nn.Module):
    """Logits from samples alone, and beside them a logit for each class.

    Args:
        width: features from which both are told.
    """

    def __init__(self, shapes, *, width: Count = 128):
        super().__init__()
        if not shapes.condition:
            raise ValueError("classifying tells classes; set conditioner.use=label")
        self.body = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(shapes.sample), width), nn.LeakyReLU(0.2)
        )
        self.source = nn.Linear(width, 1)
        self.label = nn.Linear(width, shapes.condition)  # a label is one-hot

    def forward(self, samples, condition):
        features = self.body(samples)
        return self.source(features)[:, 0], {"class": self.label(features)}


class Auxiliary:
    """Both players also want the class to be told: L_S and L_C of section 3."""

    needs = ("label",)
    needs_condition = True

    def discriminator(self, step):
        source = F.softplus(-step.real_logits) + F.softplus(step.fake_logits)
        real = self._missed(step, step.real_judged, "class missed/real")
        return source.mean() + real + self._missed(step, step.fake_judged)

    def generator(self, step):
        fake = self._missed(step, step.fake_judged, "class missed/generated")
        return F.softplus(-step.fake_logits).mean() + fake

    def _missed(self, step, judged, name=""):
        told, labels = judged.extras["class"], step.annotation("label")
        missed = F.cross_entropy(told, labels)  # in nats; ln(classes) by guessing
        if name:
            step.log(name, missed)
        return missed


@hookimpl
def gankit_parts():
    yield Part("discriminator", "classifying", Classifying)
    yield Part("loss", "auxiliary", Auxiliary)
