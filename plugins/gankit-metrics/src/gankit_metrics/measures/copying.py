"""Memorisation: whether generated samples are nearer to the training set than new ones.

Meehan et al. 2020, "A non-parametric test to detect data-copying in generative models".
"""

from __future__ import annotations

from attrs import frozen
from torch import Tensor

from gankit_metrics.measures.distances import Space
from gankit_metrics.measures.inputs import check_pair
from gankit_metrics.measures.mann_whitney import placements, z_score

_TRAIN, _TEST, _FAKE = 0, 1, 2


@frozen
class Copying:
    """Distances of generated vectors to their nearest training ones, and of test ones.

    Attributes:
        z: the test statistic Z_U; normal with deviation 1 if both are equally far. Well
            under 0, as −3, generated ones are nearer: copies. Well over 0 they are
            farther than new data is: underfitting. It grows with the root of the
            number of samples.
        nearer: the share of pairs in which the generated one is the nearer, ties being
            half, in [0, 1]; ½ if both are equally far, and of any number of samples.
        median_ratio: the median distance of generated vectors over that of test ones;
            1 if both are equally far, 0 if over half are copies.
    """

    z: float
    nearer: float
    median_ratio: float


def data_copying(train: Tensor, test: Tensor, fake: Tensor) -> Copying:
    """Return how near ``fake`` (M, d) is to ``train`` (L, d), as ``test`` (N, d) is.

    It is the paper's test on the space as a whole: its statistic C_T is the mean of
    Z_U over cells of the space. Where some samples are copies and the others are too
    far off, the two can cancel here. Test items must be new: held out, of the same
    source.

    Raises:
        ValueError: half of the test items or more are in the training set.
    """
    check_pair("train", train, "test", test)
    check_pair("train", train, "fake", fake)
    space = Space.of(train, test, fake)
    of_test = space.nearest(_TEST, _TRAIN)[0].sqrt()  # (N,)
    of_fake = space.nearest(_FAKE, _TRAIN)[0].sqrt()  # (M,)
    usual = of_test.median().item()
    if usual == 0:
        raise ValueError(
            "half of the test items or more are in the training set, so that a copy "
            "is no nearer than they are; give items that were held out"
        )
    return Copying(
        z=z_score(of_fake, of_test),
        nearer=placements(of_test, of_fake).mean().item(),
        median_ratio=of_fake.median().item() / usual,
    )
