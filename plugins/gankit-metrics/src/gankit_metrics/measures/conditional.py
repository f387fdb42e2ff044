"""Whether samples are of the class that was asked for, and varied within it.

GAN-train and GAN-test (Shmelkov et al. 2018, "How good is my GAN?") are accuracies of
one classifier each. GAN-train is trained on generated samples with the classes that
were asked for, and tested on real ones: it falls if samples are poor or too much
alike. GAN-test is trained on real samples and tested on generated ones: it falls if
they are poor, but not if they are alike or copied.
"""

from __future__ import annotations

import torch
from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.distances import Space
from gankit_metrics.measures.estimate import Estimate, share
from gankit_metrics.measures.inputs import check_labels, check_pair


@frozen
class Accuracy:
    """How often a classifier is right.

    Attributes:
        overall: the share of all items, in [0, 1].
        by_class: the share of each class's items, with None for a class without any.
        chance: the share for always naming the most frequent class.
    """

    overall: Estimate
    by_class: tuple[Estimate | None, ...]
    chance: float


def class_accuracy(predicted: Tensor, labels: Tensor, classes: int) -> Accuracy:
    """Return how often ``predicted`` (N,) are ``labels`` (N,).

    Both are in 0 … classes − 1. For GAN-train, labels are those of real items, and for
    GAN-test the classes that were asked for.

    Raises:
        ValueError: labels that are no classes, or none at all.
    """
    for name, numbers in (("predicted", predicted), ("labels", labels)):
        check_labels(name, numbers, len(labels))
        if not len(numbers) or numbers.max() >= classes:
            raise ValueError(
                f"{name} are not in 0 to {classes - 1}, or there are none; give the "
                f"number of classes"
            )
    right = predicted == labels  # (N,)
    each = [right[labels == number] for number in range(classes)]
    return Accuracy(
        overall=share(right),
        by_class=tuple(share(hits) if len(hits) else None for hits in each),
        chance=max(len(hits) for hits in each) / len(labels),
    )


def class_diversity(
    real: Tensor, real_labels: Tensor, fake: Tensor, fake_labels: Tensor
) -> tuple[float, ...]:
    """Return for each class how varied generated vectors are, against real ones, (K,).

    It is the mean squared distance of two vectors of the class, generated (M, d), over
    that of real ones (N, d): 1 if they vary as much, 0 if there is one picture a class.
    The idea is of Odena et al. 2017, "Conditional image synthesis with auxiliary
    classifier GANs", who compare pairs of one class by MS-SSIM. Noise
    raises it, so it is to be read beside an accuracy.

    Raises:
        ValueError: a class of either with fewer than two vectors, or whose real ones
            are all equal.
    """
    check_pair("real", real, "fake", fake)
    check_labels("real_labels", real_labels, len(real))
    check_labels("fake_labels", fake_labels, len(fake))
    ratios = []
    for number in range(int(max(real_labels.max(), fake_labels.max())) + 1):
        ours, theirs = fake[fake_labels == number], real[real_labels == number]
        if min(len(ours), len(theirs)) < 2:
            raise ValueError(
                f"class {number} has {len(theirs)} real and {len(ours)} generated "
                f"vectors, but pairs need two of each; give more, or number classes "
                f"without gaps"
            )
        spread = _spread(theirs)
        if spread == 0:
            raise ValueError(
                f"all real vectors of class {number} are equal, so that nothing varies "
                f"less; leave the class out"
            )
        ratios.append(_spread(ours) / spread)
    return tuple(ratios)


def nearest_neighbour_error(
    samples: Tensor, sample_labels: Tensor, test: Tensor, test_labels: Tensor
) -> Estimate:
    """Return how often the nearest of ``samples`` (N, d) has another class, in [0, 1].

    The conditional experiment of Radford et al. 2015, "Unsupervised representation
    learning with DCGANs", on MNIST: a 1-NN classifier that knows generated samples by
    the classes asked for, tested on real ``test`` (T, d). Like GAN-train, it needs no
    training. Among samples that are equally near, any one counts.

    Raises:
        ValueError: labels that are no classes, or vectors that do not go together.
    """
    check_pair("samples", samples, "test", test)
    check_labels("sample_labels", sample_labels, len(samples))
    check_labels("test_labels", test_labels, len(test))
    _, nearest = Space.of(samples, test).nearest(1, 0)
    return share(sample_labels[nearest] != test_labels)


def _spread(vectors: Tensor) -> float:
    """Return the mean squared distance of two different ones, twice the variances' sum.

    Σᵢ≠ⱼ ‖xᵢ − xⱼ‖²/n(n − 1) = 2 Tr Σ, with Σ the unbiased covariance.
    """
    return 2 * torch.var(vectors.double(), 0).sum().item()
