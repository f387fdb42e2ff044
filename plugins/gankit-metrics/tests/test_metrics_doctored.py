"""Each measure gets worse when samples do, where it claims to see it.

Data are six Gaussians. A perfect generator draws from them anew; doctored ones add
noise, drop half of the modes, give one point a mode, or give training items again.
"""

from __future__ import annotations

import pytest
import torch
from attrs import frozen

from gankit_metrics.measures.conditional import (
    class_accuracy,
    class_diversity,
    nearest_neighbour_error,
)
from gankit_metrics.measures.copying import data_copying
from gankit_metrics.measures.frechet import frechet_distance
from gankit_metrics.measures.inception_score import inception_score
from gankit_metrics.measures.kernel import cmmd, kid
from gankit_metrics.measures.modes import gaussian_modes
from gankit_metrics.measures.neighbours import neighbours
from gankit_metrics.measures.parzen import log_likelihoods
from gankit_metrics.measures.retrieval import draw_candidates, r_precision
from gankit_metrics.measures.two_sample import (
    auc,
    nearest_neighbour_accuracy,
    two_sample_accuracy,
)

MODES, SIZE, COUNT, DEVIATION = 6, 6, 480, 0.5
CENTRES = 2 * torch.eye(MODES, SIZE)


@frozen(eq=False)
class Samples:
    """Vectors (COUNT, SIZE), and the modes that they were asked to be of."""

    vectors: torch.Tensor
    labels: torch.Tensor


def draw(seed):
    """Return samples of the data."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.arange(COUNT) % MODES
    noise = torch.randn(COUNT, SIZE, generator=source)
    return Samples(CENTRES[labels] + DEVIATION * noise, labels)


TRAIN, TEST = draw(1000), draw(1001)


def fresh(seed):
    """Give what a perfect generator would give."""
    return draw(seed)


def noise(seed):
    """Widen each mode by more than half."""
    good, more = draw(seed), draw(seed + 50)
    return Samples(good.vectors + more.vectors - CENTRES[more.labels], good.labels)


def dropped(seed):
    """Give the first three modes, whichever is asked for."""
    good = draw(seed)
    shown = CENTRES[good.labels % 3] - CENTRES[good.labels]
    return Samples(good.vectors + shown, good.labels)


def collapsed(seed):
    """Give one and the same point of each mode."""
    good = draw(seed)
    return Samples(good.vectors[good.labels], good.labels)


def copies(seed):
    """Give training items with changes that nobody sees."""
    change = torch.randn(COUNT, SIZE, generator=torch.Generator().manual_seed(seed))
    return Samples(TRAIN.vectors + 1e-3 * change, TRAIN.labels)


def squares(vectors):
    """Return squared distances to all modes, by which an oracle judges."""
    return torch.cdist(vectors, CENTRES).square()


def of_neighbours(name):
    """Return one of the four by its name, the less the worse."""
    return lambda fake: -getattr(neighbours(TEST.vectors, fake.vectors), name)


def nearest(fake):
    """Return the two-sample test by nearest neighbours."""
    return nearest_neighbour_accuracy(TRAIN.vectors, fake.vectors)


def oracle(fake):
    """Return the class probabilities that the data's density gives."""
    return (squares(fake.vectors) / (-2 * DEVIATION**2)).softmax(1)


def far(samples):
    """Return how far each sample is from its mode, as a classifier's score."""
    return -squares(samples.vectors).amin(1)


def spread(fake):
    """Return how samples lie at the modes."""
    return gaussian_modes(fake.vectors, CENTRES, DEVIATION)


# what each measure says, turned so that more is worse, and what it has to see
MEASURES = {
    "frechet distance": (
        lambda fake: frechet_distance(TEST.vectors, fake.vectors),
        [noise, dropped, collapsed],
    ),
    "kid": (
        lambda fake: kid(TEST.vectors, fake.vectors).value,
        [noise, dropped],
    ),
    "cmmd": (
        lambda fake: cmmd(TEST.vectors, fake.vectors),
        [noise, dropped],
    ),
    "inception score": (
        lambda fake: -inception_score(oracle(fake), splits=1).mean,
        [noise, dropped],
    ),
    "precision": (of_neighbours("precision"), [noise]),
    "recall": (of_neighbours("recall"), [dropped, collapsed]),
    "density": (of_neighbours("density"), [noise]),
    "coverage": (of_neighbours("coverage"), [noise, dropped, collapsed]),
    "nearest-neighbour accuracy": (
        lambda fake: nearest(fake).accuracy,
        [noise, dropped, collapsed],
    ),
    "accuracy of an oracle": (
        lambda fake: two_sample_accuracy(far(TEST), far(fake), -2.0).accuracy,
        [noise],
    ),
    "auc of an oracle": (lambda fake: auc(far(TEST), far(fake)).value, [noise]),
    "parzen": (
        lambda fake: -log_likelihoods(fake.vectors, TEST.vectors, [0.4]).mean().item(),
        [noise, dropped, collapsed],
    ),
    "modes hit": (lambda fake: -spread(fake).hit, [dropped]),
    "kl of modes": (lambda fake: spread(fake).kl, [dropped]),
    "high quality": (lambda fake: -spread(fake).high_quality, [noise]),
    "gan-test": (
        lambda fake: (
            -class_accuracy(oracle(fake).argmax(1), fake.labels, MODES).overall.value
        ),
        [noise, dropped],
    ),
    "nearest-neighbour error": (
        lambda fake: (
            nearest_neighbour_error(
                fake.vectors, fake.labels, TEST.vectors, TEST.labels
            ).value
        ),
        [noise, dropped],
    ),
    "class diversity": (
        lambda fake: (
            -min(class_diversity(TEST.vectors, TEST.labels, fake.vectors, fake.labels))
        ),
        [collapsed],
    ),
}

MEMORY = {
    "data-copying z": lambda fake: (
        -data_copying(TRAIN.vectors, TEST.vectors, fake.vectors).z
    ),
    "nearer": lambda fake: (
        data_copying(TRAIN.vectors, TEST.vectors, fake.vectors).nearer
    ),
    "median ratio": lambda fake: (
        -data_copying(TRAIN.vectors, TEST.vectors, fake.vectors).median_ratio
    ),
    "nearest-neighbour accuracy": lambda fake: -nearest(fake).accuracy,
}


def worst_and_best(measure, generator):
    """Return the range of what a measure says of four draws."""
    values = [measure(generator(seed)) for seed in range(4)]
    return max(values), min(values)


@pytest.mark.parametrize("name", MEASURES)
def test_doctored_samples_are_worse_than_fresh_ones(name):
    """Every doctored draw is worse than every fresh one."""
    measure, seen = MEASURES[name]
    worst_fresh, _ = worst_and_best(measure, fresh)
    for doctor in seen:
        _, best = worst_and_best(measure, doctor)
        assert best > worst_fresh, doctor.__name__


@pytest.mark.parametrize("name", MEMORY)
def test_copies_are_seen_by_what_compares_with_the_training_set(name):
    """Every draw of copies is worse than every fresh one, and than noise."""
    for other in (fresh, noise):
        worst_other, _ = worst_and_best(MEMORY[name], other)
        assert worst_and_best(MEMORY[name], copies)[1] > worst_other


@pytest.mark.parametrize("name", [n for n in MEASURES if n not in MEMORY])
def test_copies_pass_every_other_measure(name):
    """Held out data cannot tell them: they are better than all that it does tell."""
    measure, seen = MEASURES[name]
    worst_copies, _ = worst_and_best(measure, copies)
    for doctor in seen:
        assert worst_copies < worst_and_best(measure, doctor)[1], doctor.__name__


def test_precision_sees_no_dropped_modes_and_recall_no_noise():
    """What each is blind to does not change it by a tenth."""
    for name, blind in (("precision", dropped), ("recall", noise)):
        measure = of_neighbours(name)
        assert (
            worst_and_best(measure, blind)[0] < worst_and_best(measure, fresh)[1] + 0.1
        )


def test_r_precision_falls_with_noise_and_with_collapse():
    """To chance, where every caption gives the same picture."""
    source = torch.Generator().manual_seed(0)
    texts, errors = torch.randn(2, COUNT, 32, generator=source)
    candidates = draw_candidates(COUNT, source)
    clear, noisy, lost = (
        r_precision(texts + scale * errors, texts, candidates) for scale in (1, 2, 30)
    )
    assert clear.value > 0.95
    assert clear.value - 0.2 > noisy.value > lost.value + 0.2
    same = r_precision(texts[:1].repeat(COUNT, 1), texts, candidates)
    assert same.value == pytest.approx(same.chance, abs=4 * 0.1 / COUNT**0.5)
